"""The code on docs/extending.md, by the file that the page puts it in."""

import re

from command_lines import ROOT

_BLOCK = re.compile(r'^```\w+ title="([^"]+)"\n(.*?)^```$', re.M | re.S)
CODE = dict(_BLOCK.findall((ROOT / "docs" / "extending.md").read_text(encoding="utf-8")))
