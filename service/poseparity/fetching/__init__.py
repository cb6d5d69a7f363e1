"""Getting the files of a named bundle, checked, and making the bundle of them: `poseparity bundle fetch`.

command.py -> obtain.py (cache, folder or network) -> download.py (mirrors, retries) -> transfer.py (one request);
named.py says which files there are, checks.py what they must be, lockfile.py what they were the first time.
"""
