"""One file that shows later what a run saw and that nobody changed it.

write_archive(...)          a .tar.zst or .tar.gz, the same bytes from the same run
verify_bundle(...)          whether every byte is what was sealed, without unpacking anything
verify_directory(...)       the same for a run directory, or an unpacked bundle
"""
