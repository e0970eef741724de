"""Many bytes of text at once: eight as exact arithmetic on a word, 64 by vector instructions.

A word is uint64 with the first byte lowest. The marks of a test have the high bit set in each byte
that it finds; `first_byte` tells where the lowest one stands. `classes` has one bit a byte. Bytes
of 0x80 and above (parts of characters beyond ASCII) belong to no class.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from lmprep.jit import Int, bare_inline_kernel, bare_inner_kernel, bare_kernel

Bytes = NDArray[np.uint8]

_CLASSES: Any = types.UniTuple(types.uint64, 5)  # type: ignore[no-untyped-call]
_BLOCK = 64
_HIGH = np.uint64(0x8080808080808080)
_LOW_SEVEN = np.uint64(0x7F7F7F7F7F7F7F7F)
# Adding 0x80 - c to a byte below 0x80 sets its high bit if and only if the byte is c or above.
_NEWLINES = np.uint64(0x0A0A0A0A0A0A0A0A)
_BEYOND_SPACE = np.uint64((0x80 - 0x21) * 0x0101010101010101)


def _typed(made: Any) -> Any:
    """Hide from type checkers that an intrinsic is declared with a context before its arguments."""
    return made


@_typed
@intrinsic
def peek8(_context: Any, array: Any, index: Any) -> Any:
    """uint64: the eight bytes of a uint8 array at any index, without a check."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        place = builder.gep(data, [arguments[1]])
        value = builder.load(builder.bitcast(place, ir.IntType(64).as_pointer()))
        value.align = 1
        return value

    return types.uint64(array, types.int64), generate


@_typed
@intrinsic
def classes(_context: Any, array: Any, index: Any) -> Any:
    """What 64 bytes of a uint8 array are, at any index, without a check, by vector instructions.

    Returns:
        Five uint64, the lowest bit for the first byte: which bytes are ASCII letters, digits,
        other visible characters of ASCII, spaces, and newlines.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector = ir.VectorType(ir.IntType(8), 64)

        def all_of(value: int) -> Any:
            return ir.Constant(vector, [value] * 64)

        def within(text: Any, first: str, last: str) -> Any:
            above = builder.sub(text, all_of(ord(first)))
            found = builder.icmp_unsigned("<=", above, all_of(ord(last) - ord(first)))
            return builder.bitcast(found, ir.IntType(64))

        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        place = builder.bitcast(builder.gep(data, [arguments[1]]), vector.as_pointer())
        text = builder.load(place)
        text.align = 1
        letters = within(builder.or_(text, all_of(0x20)), "a", "z")
        digits = within(text, "0", "9")
        signs = builder.xor(within(text, "!", "~"), builder.or_(letters, digits))
        found = [letters, digits, signs, within(text, " ", " "), within(text, "\n", "\n")]
        return context.make_tuple(builder, signature.return_type, found)

    return _CLASSES(array, types.int64), generate


@_typed
@intrinsic
def trailing_zeros(_context: Any, word: Any) -> Any:
    """int64: zeros below the lowest bit of a uint64, 64 where it is 0."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), generate


@_typed
@intrinsic
def ones(_context: Any, word: Any) -> Any:
    """int64: how many bits of a uint64 are set."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), generate


@_typed
@intrinsic
def peek(_context: Any, array: Any, index: Any) -> Any:
    """An element of a flat array at an index that is known to be inside: nothing is checked."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.load(builder.gep(data, [arguments[1]]))

    return array.dtype(array, types.int64), generate


@_typed
@intrinsic
def poke(_context: Any, array: Any, index: Any, value: Any) -> Any:
    """Set an element of a flat array of integers as `peek` reads it."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        builder.store(arguments[2], builder.gep(data, [arguments[1]]))
        return context.get_dummy_value()

    return types.none(array, types.int64, array.dtype), generate


@_typed
@intrinsic
def store(_context: Any, array: Any, index: Any, word: Any) -> Any:
    """Write a uint64 over the elements of a flat array from `index` on, without a check."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        place = builder.bitcast(builder.gep(data, [arguments[1]]), ir.IntType(64).as_pointer())
        builder.store(arguments[2], place, align=1)
        return context.get_dummy_value()

    return types.none(array, types.int64, types.uint64), generate


@_typed
@intrinsic
def prefetch(_context: Any, array: Any, index: Any) -> Any:
    """Ask for the cache line of an element, which will be read soon."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        number, pointer = ir.IntType(32), ir.PointerType()
        kind = ir.FunctionType(ir.VoidType(), [pointer, number, number, number])
        function = builder.module.declare_intrinsic("llvm.prefetch", [pointer], kind)
        read, keep, is_data = (ir.Constant(number, value) for value in (0, 3, 1))
        builder.call(function, [builder.gep(data, [arguments[1]]), read, keep, is_data])
        return context.get_dummy_value()

    return types.none(array, types.int64), generate


@bare_inner_kernel
def _load_near_end(text: Bytes, start: Int) -> np.uint64:
    """As `load8` where fewer than eight bytes are left: zeros follow them."""
    word = np.uint64(0)
    for i in range(len(text) - start):
        word |= np.uint64(text[start + i]) << np.uint64(8 * i)
    return word


@bare_inline_kernel
def load8(text: Bytes, start: Int) -> np.uint64:
    """The eight bytes from `start` on; zeros where the text has ended."""
    if start + 8 <= len(text):
        return np.uint64(peek8(text, start))
    return _load_near_end(text, start)


@bare_inline_kernel
def first_byte(marks: np.uint64) -> Int:
    """Which byte carries the lowest mark, 0 to 7; 8 when there is none."""
    return trailing_zeros(marks) >> 3 if marks else 8


@bare_inline_kernel
def low_bytes(word: np.uint64, count: Int) -> np.uint64:
    """The first `count` bytes of a word, 0 to 8, and zeros."""
    if count >= 8:
        return word
    return word & ((np.uint64(1) << np.uint64(8 * count)) - np.uint64(1))


@bare_inline_kernel
def not_above_space(word: np.uint64) -> np.uint64:
    """Marks the bytes from 0x00 to 0x20: spaces and control characters."""
    return ~((word & _LOW_SEVEN) + _BEYOND_SPACE | word) & _HIGH


def line_offsets(text: Bytes) -> NDArray[np.int64]:
    """Where each line begins, and where the last one ends: int64 [lines + 1].

    Every line ends with a newline; bytes after the last one are no line.
    """
    offsets = np.zeros(len(text) // 64 + 64, np.int64)
    found, at = _find_newlines(text, 0, offsets, 0)
    while at < len(text):
        offsets = np.concatenate([offsets, np.empty_like(offsets)])
        found, at = _find_newlines(text, at, offsets, found)
    return offsets[: found + 1]


@bare_kernel
def line_end(text: Bytes, start: Int) -> Int:
    """Where the line ends that the byte at `start` is in, behind its newline."""
    at = start
    while at < len(text):
        at += 1
        if text[at - 1] == 0x0A:
            break
    return at


@bare_inline_kernel
def newlines(word: np.uint64) -> np.uint64:
    """Marks the bytes that are newlines."""
    other = word ^ _NEWLINES
    return ~(((other & _LOW_SEVEN) + _LOW_SEVEN) | other) & _HIGH


@bare_kernel
def _find_newlines(
    text: Bytes, start: Int, offsets: NDArray[np.int64], found: Int
) -> tuple[Int, Int]:
    """Note where lines end behind the `found` ones that end before `start`.

    Returns:
        How many are found now, and where to go on with more room in `offsets`.
    """
    at = start
    while at + _BLOCK <= len(text) and found + _BLOCK < len(offsets):
        ends = classes(text, at)[4]
        while ends:
            found += 1
            offsets[found] = at + trailing_zeros(ends) + 1
            ends &= ends - np.uint64(1)
        at += _BLOCK
    while at < len(text) and found + 8 < len(offsets):
        marks = newlines(load8(text, at))
        while marks:
            found += 1
            offsets[found] = at + first_byte(marks) + 1
            marks &= marks - np.uint64(1)
        at += 8
    return found, at
