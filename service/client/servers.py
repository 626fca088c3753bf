"""Which of several servers gets the next request."""

from collections.abc import Sequence


class Servers:
    """Of the servers that do not rest, the one with the fewest requests under way; a failure makes one rest."""

    def __init__(self, urls: Sequence[str]) -> None:
        if not urls:
            raise ValueError("name at least one server")
        self._under_way = {url.rstrip("/"): 0 for url in urls}
        self._rests_until = dict.fromkeys(self._under_way, 0.0)

    def pick(self, now: float) -> tuple[str, float]:
        """The server for the next request, and the seconds to wait before it is sent."""
        url = min(self._under_way, key=lambda each: (max(self._rests_until[each] - now, 0.0), self._under_way[each]))
        return url, max(self._rests_until[url] - now, 0.0)

    def begin(self, url: str) -> None:
        self._under_way[url] += 1

    def end(self, url: str) -> None:
        self._under_way[url] -= 1

    def rest(self, url: str, until: float) -> None:
        self._rests_until[url] = max(self._rests_until[url], until)
