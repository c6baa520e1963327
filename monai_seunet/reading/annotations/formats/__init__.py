"""Readers of annotation files, one module for each program.

The function of a module converts the parsed content of a file to an `AnnotationFile`; `where` names the file in
messages. It raises an InputError if the content does not follow the format, or a point has no valid coordinates.
"""
