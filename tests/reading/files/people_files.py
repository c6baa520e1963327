"""Images as people's programs write them: what each has to look like, how large its pixels are, and what is said."""

from people_colours import COLOURS
from people_sizes import SIZES
from people_writers import PeopleFile

FILES = {name: PeopleFile(*row) for name, row in {**SIZES, **COLOURS}.items()}
