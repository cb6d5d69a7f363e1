"""What other systems say of their processor and their release."""

from __future__ import annotations

from pathlib import Path

from poseparity.environment.machine import (
    CPUID_BITS,
    cpuid_features,
    fill_unknown_features,
    parse_os_release,
    parse_proc_cpuinfo,
    parse_sysctl,
    windows_cpu,
)

CPUINFO_HASWELL = """\
processor\t: 0
vendor_id\t: GenuineIntel
model name\t: Intel(R) Core(TM) i7-4770 CPU @ 3.40GHz
flags\t\t: fpu sse4_2 fma avx f16c bmi1 avx2 bmi2

processor\t: 1
vendor_id\t: GenuineIntel
flags\t\t: fpu avx512f
"""


CPUINFO_ARM = "processor\t: 0\nBogoMIPS\t: 243.75\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\n"
SYSCTL_INTEL = """\
machdep.cpu.brand_string: Intel(R) Core(TM) i7-8569U CPU @ 2.80GHz
machdep.cpu.vendor: GenuineIntel
machdep.cpu.features: FPU SSE SSE4.1 SSE4.2 FMA AVX1.0 F16C
machdep.cpu.leaf7_features: BMI1 AVX2 BMI2
hw.optional.avx2_0: 1
"""


SYSCTL_APPLE = "machdep.cpu.brand_string: Apple M2\nhw.optional.neon: 1\nhw.optional.arm64: 1\n"
OS_RELEASE = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n# comment=1\nVERSION_ID="12"\nBROKEN\n'


def test_linux_processor():
    facts = parse_proc_cpuinfo(CPUINFO_HASWELL)
    assert facts["model"].startswith("Intel(R) Core") and facts["vendor"] == "GenuineIntel"
    assert facts["features"]["avx2"] is True and facts["features"]["fma"] is True
    assert facts["features"]["avx512f"] is False
    assert parse_proc_cpuinfo(CPUINFO_ARM) == {"vendor": "0x41", "model": "unknown", "features": {}}


def test_macos_processors():
    facts = parse_sysctl(SYSCTL_INTEL)
    present = [name for name, found in facts["features"].items() if found]
    assert present == ["sse4_2", "avx", "avx2", "fma", "f16c", "bmi2"]
    assert parse_sysctl(SYSCTL_APPLE) == {"vendor": "Apple", "model": "Apple M2", "features": {}}


def test_windows_processor_says_what_is_unknown_and_numpy_fills_it_in():
    facts = windows_cpu(lambda number: int(number in (38, 39, 40)), "Intel64 Family 6")
    assert facts["features"]["avx2"] is True and facts["features"]["avx512f"] is False
    assert facts["features"]["fma"] == "unknown"
    filled = fill_unknown_features(facts["features"], ["FMA3", "AVX2"])
    assert filled["fma"] is True and filled["f16c"] is False and filled["amx_tile"] == "unknown"
    assert fill_unknown_features(facts["features"], []) == facts["features"]


def test_distribution():
    assert parse_os_release(OS_RELEASE) == {
        "PRETTY_NAME": "Debian GNU/Linux 12 (bookworm)",
        "ID": "debian",
        "VERSION_ID": "12",
    }


def test_cpuid_agrees_with_the_system_where_glibc_tells_it():
    """On this machine; on an emulated processor they differ: see tests/integration/test_emulated_cpus.py."""
    features = parse_proc_cpuinfo(Path("/proc/cpuinfo").read_text(encoding="utf-8"))["features"]
    told = cpuid_features()
    assert set(told) in (set(CPUID_BITS), set())
    assert told == {name: features[name] for name in told}
