"""Result sets on disk: what the writer leaves is what the reader pages."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pyarrow as pa
import pytest

from ujes.results.error import EngineError
from ujes.results.reader import Readers, ResultReader, ResultUnreadable
from ujes.results.writer import BATCH_ROWS, TEXT_CHARS_MAX, ResultFile, ResultFolder

NUMBERS = pa.schema([pa.field("n", pa.int64())])


class Results:
    def __init__(self, directory: Path) -> None:
        self.complete: list[ResultFile] = []
        self.folder = ResultFolder(directory / "job", self.complete.append)

    def table(self, *parts: pa.Table | pa.RecordBatch) -> ResultFile:
        with self.folder.table(parts[0].schema) as table:
            for part in parts:
                table.write(part)
        return self.complete[-1]

    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.directory.iterdir())


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return Results(tmp_path)


def numbers(begin: int, end: int) -> pa.Table:
    return pa.table([pa.array(range(begin, end), pa.int64())], schema=NUMBERS)


def page(file: ResultFile, offset: int = 0, count: int = 10**9) -> list[list[object]]:
    with ResultReader.open(file.path) as reader:
        return [column.to_pylist() for column in reader.page(offset, count).columns]


# --- writing ----------------------------------------------------------------------------------


def test_sets_are_numbered_as_they_are_completed(results: Results) -> None:
    with results.folder.text() as text:
        text.write_line("begun first")
        results.table(numbers(0, 3))
        results.folder.html("<b>")
    results.folder.picture(b"\x89PNG", "image/png")

    assert [(file.index, file.kind, file.rows, file.columns) for file in results.complete] == [
        (0, "table", 3, 1),
        (1, "html", 1, 1),
        (2, "text", 1, 1),
        (3, "picture", 1, 1),
    ]
    assert results.names() == ["_0.arrow", "_1.arrow", "_2.arrow", "_3.arrow"]
    assert all(file.size_bytes == file.path.stat().st_size for file in results.complete)
    assert page(results.complete[3]) == [['<img src="data:image/png;base64,iVBORw==">']]


def test_an_unfinished_set_has_no_name_and_a_broken_one_leaves_nothing(results: Results) -> None:
    def half() -> None:
        with results.folder.table(NUMBERS) as table:
            table.write(numbers(0, 30_000))
            assert results.names() == [".0.arrow.part"]
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        half()
    assert results.names() == []
    assert results.complete == []


@pytest.mark.parametrize(
    "sizes", [[25_000], [10_000] * 3, [1] * 12_345, [7_000, 6_000, 1, 20_001], [0, 5, 0]]
)
def test_batches_are_neither_large_nor_many(results: Results, sizes: list[int]) -> None:
    parts, begin = [], 0
    for size in sizes:
        parts.append(numbers(begin, begin + size))
        begin += size
    file = results.table(*parts)

    assert page(file) == [list(range(begin))]
    with pa.OSFile(str(file.path)) as source:
        reader = pa.ipc.open_file(source)
        rows = [reader.get_batch(at).num_rows for at in range(reader.num_record_batches)]
    assert max(rows, default=0) <= BATCH_ROWS
    assert len(rows) <= 2 * (begin // BATCH_ROWS) + 1


def test_columns_of_one_name_stay_two(results: Results) -> None:
    file = results.table(pa.table([pa.array([1]), pa.array(["x"])], names=["a", "a"]))
    with ResultReader.open(file.path) as reader:
        assert reader.schema.names == ["a", "a"]
    assert page(file) == [[1], ["x"]]


def test_dictionaries_may_change_from_batch_to_batch(results: Results) -> None:
    first, second = (
        pa.table([pa.array(values).dictionary_encode()], names=["c"]) for values in (["a"], ["b", "c"])
    )
    assert page(results.table(first, second)) == [["a", "b", "c"]]


def test_field_metadata_is_kept_and_the_kind_added(results: Results) -> None:
    schema = pa.schema(
        [pa.field("a", pa.int32(), metadata={"comment": "how many"})], metadata={"pandas": "{}"}
    )
    file = results.table(pa.table([pa.array([1], pa.int32())], schema=schema))
    with ResultReader.open(file.path) as reader:
        assert reader.kind == "table"
        assert reader.schema.metadata == {b"ujes.kind": b"table"}
        assert reader.schema.field(0).metadata == {b"comment": b"how many"}


def test_a_text_without_lines_is_no_result(results: Results) -> None:
    with results.folder.text():
        pass
    assert results.names() == []


def test_a_text_is_written_while_it_comes(results: Results) -> None:
    line = "x" * 1000
    with results.folder.text() as text:
        for _ in range(3 * TEXT_CHARS_MAX // len(line)):
            text.write_line(line)
        text.write_line("half a pair: \ud800")
        assert results.names() == [".0.arrow.part"]
    cells = page(results.complete[0])[0]
    assert cells[0] == line
    assert cells[-1] == "half a pair: ?"


def test_a_full_disk_is_told_and_leaves_no_file(results: Results) -> None:
    (results.folder.directory / ".0.arrow.part").symlink_to("/dev/full")

    def write() -> None:
        with results.folder.table(pa.schema([("a", pa.string())])) as table:
            for _ in range(50):
                table.write(pa.table([[os.urandom(100).hex() for _ in range(10_000)]], names=["a"]))

    with pytest.raises(
        EngineError, match=r"could not be written to .*: No space left on device\. Free"
    ) as caught:
        write()
    assert caught.value.code == 20052
    assert results.names() == []
    assert results.complete == []


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EngineError, match=os.strerror(errno.ENOTDIR)):
        ResultFolder(tmp_path / "file" / "job", print)


# --- reading ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offset", "count", "expected"),
    [
        (0, 2, range(2)),
        (9_999, 2, range(9_999, 10_001)),
        (9_990, 20_000, range(9_990, 25_000)),
        (24_999, 5, range(24_999, 25_000)),
        (25_000, 5, range(0)),
        (10**12, 5, range(0)),
        (3, 0, range(0)),
    ],
)
def test_a_page_anywhere(results: Results, offset: int, count: int, expected: range) -> None:
    file = results.table(numbers(0, 25_000))
    assert page(file, offset, count) == [list(expected)]


def test_an_empty_set_has_its_columns(results: Results) -> None:
    file = results.table(numbers(0, 0))
    with ResultReader.open(file.path) as reader:
        assert reader.rows == 0
        assert reader.page(0, 10).schema.names == ["n"]


def test_a_page_reads_only_its_batches(results: Results) -> None:
    file = results.table(numbers(0, 30_000))
    whole = bytearray(file.path.read_bytes())
    frame = whole.rindex(b"\x28\xb5\x2f\xfd")  # where the last compressed column begins
    whole[frame : frame + 4] = b"gone"
    file.path.write_bytes(whole)
    with ResultReader.open(file.path) as reader:
        assert reader.page(0, 3).column(0).to_pylist() == [0, 1, 2]
        with pytest.raises(ResultUnreadable, match=r"_0\.arrow cannot be read"):
            reader.page(0, 30_000)


@pytest.mark.parametrize(
    "content", [b"", b"ARROW1", b"no arrow file at all" * 100, b"ARROW1\0\0" + b"\0" * 64 + b"ARROW1"]
)
def test_a_foreign_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "_0.arrow"
    path.write_bytes(content)
    with pytest.raises(ResultUnreadable, match=r"^The result set _0\.arrow cannot be read: .*\.$"):
        ResultReader.open(path)


def test_every_shorter_file_is_refused(results: Results) -> None:
    path = results.table(numbers(0, 50)).path
    whole = path.read_bytes()
    for size in range(0, len(whole), 7):
        path.write_bytes(whole[:size])
        with pytest.raises(ResultUnreadable):
            ResultReader.open(path)


def test_an_arrow_file_of_somebody_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "_0.arrow"
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, NUMBERS) as writer:
        writer.write_table(numbers(0, 3))
    with pytest.raises(ResultUnreadable, match="which kind"):
        ResultReader.open(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "_0.arrow", tmp_path):
        with pytest.raises(ResultUnreadable):
            ResultReader.open(path)


def test_readers_are_kept_up_to_their_bound_and_see_a_new_file(results: Results) -> None:
    files = [results.table(numbers(0, rows)) for rows in (1, 2, 3)]
    readers = Readers(readers_max=2)
    first = readers.get(files[0].path)
    assert readers.get(files[0].path) is first
    assert [readers.get(file.path).rows for file in files] == [1, 2, 3]
    assert readers.get(files[0].path) is not first
    files[2].path.replace(files[1].path)
    assert readers.get(files[1].path).rows == 3
    readers.close()
    first.close()
