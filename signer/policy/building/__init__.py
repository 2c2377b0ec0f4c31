"""From a policy's source to its WebAssembly module: one file per language, and one that chooses among them.

Rule 1: compilers run in the source's folder and are told names relative to it, so that the same files and the same
compiler make the same module wherever the folder is.
"""
