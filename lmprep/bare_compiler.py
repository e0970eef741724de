"""Numba's compiler for bare kernels, without what they have no need of.

Numba has LLVM optimize every function three times: for itself and then together with those that it
calls, so that counts of references to arrays can be pruned; and then in full. It makes machine code
of all of them, though where kernels call each other that of the inner ones is never run. Bare
kernels count no references; they are optimized once, and inner ones as a part of those that call
them. That takes a fifth of the time off.
"""

from __future__ import annotations

import ctypes
from typing import Any

from llvmlite.binding import newpassmanagers, parse_bitcode
from numba.core.caching import CompileResultCacheImpl
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder, compile_result
from numba.core.typed_passes import NopythonRewrites
from numba.core.untyped_passes import InlineClosureLikes

_INNER = "inner"
"""In the place where numba notes what it keeps of a function."""

_NOT_CALLABLE = ctypes.cast(ctypes.pythonapi.PyObject_Call, ctypes.c_void_p).value or 0
"""For what has no code that Python could call: says that it cannot be called, by a TypeError."""


class BareCompiler(CompilerBase):
    """Compiles one bare kernel, an inner one if it is to have no wrapper for Python."""

    def define_pipelines(self) -> list[Any]:
        """Numba's passes without those for what makes arrays: comprehensions and whole arrays in
        expressions. They take a twentieth of the time."""
        state: Any = self.state
        kind = _InnerLibrary if state.flags.no_cpython_wrapper else _Library
        state.library = kind(state.targetctx.codegen(), state.func_id.func_qualname)
        state.library.enable_object_caching()
        manager = DefaultPassBuilder.define_nopython_pipeline(state)
        needless = InlineClosureLikes, NopythonRewrites
        manager.passes = [entry for entry in manager.passes if entry[0] not in needless]
        manager.finalize()
        return [manager]


class _Library(JITCodeLibrary):
    """The code of a kernel, and of those that it calls, optimized once."""

    def _optimize_functions(self, ll_module: Any) -> None:
        ll_module.data_layout = self._codegen._data_layout

    def _optimize_final_module(self) -> None:
        manager, builder = self._codegen._module_pass_manager()
        manager.run(self._final_module, builder)


class _InnerLibrary(_Library):
    """The code of a kernel that only others call, as it is put into theirs."""

    @classmethod
    def of(cls, codegen: Any, name: str, code: bytes) -> Any:
        """From what `serialize_using_object_code` gave."""
        library: Any = cls(codegen, name)
        library._final_module = parse_bitcode(code)
        library._finalize_final_module()
        return library

    @property
    def codegen(self) -> Any:
        """What numba asks to note the environment of a function, which no code here looks at."""
        return _NoEnvironments

    def get_pointer_to_function(self, _name: str) -> int:
        """What numba asks for the code that Python calls."""
        self._ensure_finalized()
        return _NOT_CALLABLE

    def serialize_using_object_code(self) -> tuple[str, str, bytes]:
        """What is kept of it on disk."""
        return self.name, _INNER, self._get_module_for_linking().as_bitcode()

    def _optimize_functions(self, ll_module: Any) -> None:
        # What is left out is what numba loads without need: addresses of this process, for one,
        # with which it could not be kept.
        super()._optimize_functions(ll_module)
        manager = newpassmanagers.create_new_function_pass_manager()
        manager.add_sroa_pass()
        manager.add_dead_code_elimination_pass()
        builder = self._codegen._pass_builder()
        for function in ll_module.functions:
            manager.run(function, builder)

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._finalized = True


class _NoEnvironments:
    @staticmethod
    def set_env(_name: str, _environment: object) -> None:
        pass


class KeptKernels(CompileResultCacheImpl):
    """What numba's cache keeps of a kernel, inner ones as well."""

    def rebuild(self, target_context: Any, payload: Any) -> Any:
        """A compiled kernel from what was kept of it."""
        (name, kind, code), description, environment, signature, *_ = payload
        if kind != _INNER:
            return super().rebuild(target_context, payload)
        library = _InnerLibrary.of(target_context.codegen(), name, code)
        return compile_result(
            target_context=target_context,
            typing_context=target_context.typing_context,
            library=library,
            environment=environment,
            entry_point=target_context.get_executable(library, description, environment),
            fndesc=description,
            signature=signature,
            objectmode=False,
            lifted=(),
            reload_init=[],
        )
