"""Print the README's command under a heading: what users are told is what runs here."""

import re
import sys
from pathlib import Path

readme = (Path(__file__).parents[1] / "README.md").read_text()
heading = re.escape(sys.argv[1])
print(re.search(rf"^#+ {heading}$.*?```bash\n(.*?)```", readme, re.MULTILINE | re.DOTALL)[1])
