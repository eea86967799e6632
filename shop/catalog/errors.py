"""What the catalogue refuses."""

from shop.kernel.errors import Invalid


class UnusableFile(Invalid):
    """A product file that cannot be read at all; nothing of it was imported."""

    code = "unusable_file"

    def __init__(self, detail: str, *, line: int | None = None) -> None:
        super().__init__(detail if line is None else f"Line {line}: {detail}", line=line)
        self.line = line
