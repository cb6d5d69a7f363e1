"""A process that can do little: what a config's Python is run in. Linux on x86-64, as everything here.

The kernel's filter of system calls (seccomp) takes away the network and every way to start or to touch another process;
limits take away time, memory and disk. Files stay: a config may read what the user may read.
"""

from __future__ import annotations

import ctypes
import os
import resource
import select
import struct
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

# From linux/prctl.h, seccomp.h, audit.h and bpf_common.h.
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _PR_SET_DUMPABLE = 38, 22, 4
_SECCOMP_MODE_FILTER = 2
_X86_64 = 0xC000003E
_X32 = 0x40000000  # the bit that marks calls of another convention, which would pass by their numbers
# By their numbers on x86-64, see linux/arch/x86/entry/syscalls/syscall_64.tbl.
_REFUSED = {
    "socket": 41, "connect": 42, "socketpair": 53, "bind": 49, "listen": 50, "io_uring_setup": 425,
    "clone": 56, "fork": 57, "vfork": 58, "execve": 59, "execveat": 322, "clone3": 435,
    "kill": 62, "tkill": 200, "tgkill": 234, "rt_sigqueueinfo": 129, "pidfd_send_signal": 424, "pidfd_getfd": 438,
    "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "bpf": 321, "perf_event_open": 298,
    "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161, "unshare": 272, "setns": 308, "reboot": 169,
    "init_module": 175, "finit_module": 313, "delete_module": 176, "kexec_load": 246, "swapon": 167, "swapoff": 168,
    "pause": 34, "nanosleep": 35, "clock_nanosleep": 230, "select": 23, "pselect6": 270, "poll": 7, "ppoll": 271,
    "keyctl": 250, "add_key": 248, "request_key": 249, "setpgid": 109, "setsid": 112,
}  # fmt: skip
_EPERM = 1
_LOAD, _EQUAL, _GREATER_OR_EQUAL, _RETURN = 0x20, 0x15, 0x35, 0x06  # classic BPF
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000


def confine(*, seconds: int, more_memory: int, file_size: int) -> str | None:
    """Take from this process what a config has no use for. It must have a single thread, and cannot be undone.

    Args:
        seconds: of processor time, from now.
        more_memory: bytes of address space that it may take in addition to what it has.
        file_size: of the largest file that it may write, bytes.

    Returns:
        Why the kernel did not take the network away; None where it did.
    """
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu = int(used.ru_utime + used.ru_stime) + 1 + seconds
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])  # that it has: the limit counts them
    memory = pages * resource.getpagesize() + more_memory
    for limit, value in (
        (resource.RLIMIT_CPU, cpu),
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, file_size),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NPROC, 0),
    ):
        _, most = resource.getrlimit(limit)
        value = value if most == resource.RLIM_INFINITY else min(value, most)
        resource.setrlimit(limit, (value, value))
    try:
        _filter_calls()
    except OSError as error:
        return str(error)
    return None


def in_child(work: Callable[[], None], *, seconds: float) -> int | None:
    """Do the work in a fork of this process, which has to have a single thread.

    Returns:
        Its exit status, negative for a signal; None where it took longer than that and was ended.
    """
    child = os.fork()
    if child == 0:
        # Whatever happens, this process ends here: it is a copy of one that goes on elsewhere.
        status = 1
        try:
            work()
            status = 0
        except BaseException:  # noqa: BLE001, a config may raise SystemExit
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)
    descriptor = os.pidfd_open(child)
    try:
        readable, _, _ = select.select([descriptor], [], [], seconds)
        if not readable:
            os.kill(child, 9)  # which no process can ignore
        _, status = os.waitpid(child, 0)
        return os.waitstatus_to_exitcode(status) if readable else None
    finally:
        os.close(descriptor)


def _filter_calls() -> None:
    program = _program(sorted(_REFUSED.values()))
    buffer = ctypes.create_string_buffer(program, len(program))
    sock_fprog = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer)))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]
    _prctl(prctl, _PR_SET_DUMPABLE, 0)  # else another process of the user could be made to look into this one
    _prctl(prctl, _PR_SET_NO_NEW_PRIVS, 1)
    _prctl(prctl, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(sock_fprog))


def _prctl(prctl, *arguments: int) -> None:
    # The call takes five arguments, and those without a meaning have to be 0.
    if prctl(*arguments, *[0] * (5 - len(arguments))) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _program(refused: list[int]) -> bytes:
    """Calls of another architecture end the process; those refused fail with EPERM; all others pass."""
    count = len(refused)
    steps = [
        (_LOAD, 0, 0, 4),  # the architecture
        (_EQUAL, 1, 0, _X86_64),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, 0),  # the number of the call
        (_GREATER_OR_EQUAL, count + 1, 0, _X32),
        *((_EQUAL, count - index, 0, number) for index, number in enumerate(refused)),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _ERRNO | _EPERM),
    ]
    return b"".join(struct.pack("HBBI", *step) for step in steps)
