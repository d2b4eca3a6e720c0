"""Everything for one machine: an embedded broker and cache, sample essays, the demo."""

from __future__ import annotations
