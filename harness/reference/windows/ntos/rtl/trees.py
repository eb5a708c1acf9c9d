"""Binary trees of drivers' elements in guest memory: splay trees and AVL trees, whose links are the only truth."""

from harness.reference.machine.memory.memory import Memory
from harness.reference.machine.memory.structure import Field, Structure


class Links(Structure):
    """RTL_SPLAY_LINKS, and the head of RTL_BALANCED_LINKS. The root's parent is itself in a splay tree."""

    SIZE = 0x18
    parent = Field(0x00)
    left = Field(0x08)
    right = Field(0x10)
    height = Field(0x18, "B")
    """Of an AVL tree's node alone: Windows keeps a balance there."""


def child(memory: Memory, node: int, *, right: bool) -> int:
    """A node's child, or 0."""
    return memory.read_u64(node + (16 if right else 8))


def set_child(memory: Memory, node: int, other: int, *, right: bool) -> None:
    """Hang a node, or nothing, below another."""
    memory.write_u64(node + (16 if right else 8), other)
    if other:
        memory.write_u64(other, node)


def extreme(memory: Memory, node: int, *, right: bool) -> int:
    """The last node of a subtree in one direction."""
    while following := child(memory, node, right=right):
        node = following
    return node


def neighbour(memory: Memory, node: int, *, right: bool, top: int = 0) -> int:
    """The next (or previous) node in order; 0 behind the last. `top` is what the root hangs on, if not itself."""
    if below := child(memory, node, right=right):
        return extreme(memory, below, right=not right)
    while True:
        parent = memory.read_u64(node)
        if parent in (node, top, 0):
            return 0
        if child(memory, parent, right=not right) == node:
            return parent
        node = parent


# -- splay trees


def _rotate_up(memory: Memory, node: int) -> None:
    """Rotate a node with its parent."""
    parent = memory.read_u64(node)
    above = memory.read_u64(parent)
    right = child(memory, parent, right=True) == node
    inner = child(memory, node, right=not right)
    set_child(memory, parent, inner, right=right)
    if above == parent:
        memory.write_u64(node, node)
    else:
        set_child(memory, above, node, right=child(memory, above, right=True) == parent)
    set_child(memory, node, parent, right=not right)


def splay(memory: Memory, node: int) -> int:
    """Make a node the root of its tree; the node."""
    while (parent := memory.read_u64(node)) != node:
        above = memory.read_u64(parent)
        if above != parent:
            same = (child(memory, parent, right=True) == node) == (child(memory, above, right=True) == parent)
            _rotate_up(memory, parent if same else node)
        _rotate_up(memory, node)
    return node


def splay_delete(memory: Memory, node: int) -> int:
    """Take a node out of its splay tree; the new root, or 0."""
    splay(memory, node)
    left, right = child(memory, node, right=False), child(memory, node, right=True)
    for part in (left, right):
        if part:
            memory.write_u64(part, part)
    if not left or not right:
        return left or right
    root = splay(memory, extreme(memory, left, right=True))
    set_child(memory, root, right, right=True)
    return root


# -- AVL trees, below a head whose right child is the root


def _height(memory: Memory, node: int) -> int:
    return memory.read_u8(node + 24) if node else 0


def _update(memory: Memory, node: int) -> int:
    """Set a node's height; by how much its right side is higher than its left."""
    left, right = (_height(memory, child(memory, node, right=side)) for side in (False, True))
    memory.write_u8(node + 24, 1 + max(left, right))
    return right - left


def _rotate(memory: Memory, node: int, *, right: bool) -> int:
    """Let the child on one side take a node's place; that child."""
    above, up = memory.read_u64(node), child(memory, node, right=right)
    set_child(memory, node, child(memory, up, right=not right), right=right)
    set_child(memory, above, up, right=child(memory, above, right=True) == node)
    set_child(memory, up, node, right=not right)
    _update(memory, node)
    _update(memory, up)
    return up


def rebalance(memory: Memory, node: int, head: int) -> None:
    """After a change below `node`: no two sides differ by more than one, up to the root."""
    while node != head:
        difference = _update(memory, node)
        if abs(difference) > 1:
            right = difference > 0
            below = child(memory, node, right=right)
            inner, outer = (_height(memory, child(memory, below, right=side)) for side in (not right, right))
            if inner > outer:
                _rotate(memory, below, right=not right)
            node = _rotate(memory, node, right=right)
        node = memory.read_u64(node)


def avl_insert(memory: Memory, node: int, parent: int, *, right: bool, head: int) -> None:
    """Hang a new node below another, or below the head."""
    set_child(memory, parent, node, right=right)
    memory.write_u8(node + 24, 1)
    rebalance(memory, parent, head)


def avl_delete(memory: Memory, node: int, head: int) -> None:
    """Take a node out."""
    if child(memory, node, right=False) and child(memory, node, right=True):
        other = extreme(memory, child(memory, node, right=True), right=False)
        start = memory.read_u64(other)
        start = other if start == node else start
        _replace(memory, other, child(memory, other, right=True))
        for side in (False, True):
            set_child(memory, other, child(memory, node, right=side), right=side)
        _replace(memory, node, other)
    else:
        start = memory.read_u64(node)
        _replace(memory, node, child(memory, node, right=False) or child(memory, node, right=True))
    rebalance(memory, start, head)


def _replace(memory: Memory, node: int, other: int) -> None:
    above = memory.read_u64(node)
    set_child(memory, above, other, right=child(memory, above, right=True) == node)
