"""A user's own module behind `--module FILE:FUNCTION` (docs/protocol.md#module).

FUNCTION takes nothing and returns (module, batch) or (module, batch, loss), or a dictionary with these names and,
where the module calls operators of its own, `references`: {"library::operator": a function of plain torch}. The batch
is a tensor, a tuple (positional arguments) or a dictionary (keywords). `loss` takes the module's output and returns a
scalar; without one, the backward pass starts from fixed random gradients of all floating outputs.

The worker asks through the operator ascertain_module::call; every answer is a list of tensors and a JSON text.
"""

import importlib.util
import json
import math
import pathlib
import sys
import time
import traceback

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves, tree_map

HOW = "it must return (module, batch), (module, batch, loss) or a dictionary with these names"
LOW = (torch.float32, torch.bfloat16, torch.float16)
SUMS = ("aten::sum", "aten::mean")
PRODUCTS = {"aten::mm": 0, "aten::bmm": 0, "aten::addmm": 1, "aten::baddbmm": 1}


class Refusal(Exception):
    """What the worker answers as an error of this kind."""

    def __init__(self, kind, message):
        super().__init__(message)
        self.kind = kind


def is_low(value):
    return isinstance(value, torch.Tensor) and value.dtype in LOW


def name_of(func):
    return func._schema.name


def widened(value):
    """In fp64: tensors as copies, dtypes by name."""
    if is_low(value):
        return value.detach().to(torch.float64)
    return torch.float64 if value in LOW else value


class Noting(TorchDispatchMode):
    """Notes operators that draw random numbers: what they give cannot be foretold."""

    def __init__(self):
        super().__init__()
        self.random = set()
        self.longest_sum = 1

    def note(self, func, args):
        if torch.Tag.nondeterministic_seeded in func.tags and not (
                "dropout" in str(func._schema) and self.no_dropout(func, args)):
            self.random.add(name_of(func))
        place = PRODUCTS.get(name_of(func))
        if place is not None:
            self.longest_sum = max(self.longest_sum, args[place].shape[-1])
        elif name_of(func) in SUMS and isinstance(args[0], torch.Tensor):
            dimensions = args[1] if len(args) > 1 and isinstance(args[1], (list, tuple)) else range(args[0].dim())
            self.longest_sum = max(self.longest_sum, math.prod(args[0].shape[i] for i in dimensions))

    @staticmethod
    def no_dropout(func, args):
        names = [argument.name for argument in func._schema.arguments]
        place = next((names.index(name) for name in ("dropout_p", "p") if name in names), None)
        return place is not None and (place >= len(args) or args[place] == 0.0)


class Wide(Noting):
    """Everything in fp64, also where the module asks for less: the reference."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.note(func, args)
        written = {argument.name for argument in func._schema.arguments
                   if argument.alias_info is not None and argument.alias_info.is_write}
        names = [argument.name for argument in func._schema.arguments]
        args = [value if names[i] in written else tree_map(self.wide, value) for i, value in enumerate(args)]
        kwargs = {key: value if key in written else tree_map(self.wide, value)
                  for key, value in (kwargs or {}).items()}
        return func(*args, **kwargs)

    @staticmethod
    def wide(value):
        return value.to(torch.float64) if is_low(value) else torch.float64 if value in LOW else value


class Twin(Noting):
    """What healthy arithmetic of the module's own precision gives: every operator in fp64, its result rounded once to
    the dtype it has. Replicas differ by less than the rounding, as orders of summation do."""

    def __init__(self, replica):
        super().__init__()
        self.noise = torch.Generator().manual_seed(replica) if replica else None
        self.not_widened = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        self.note(func, args)
        if func.is_view or not any(is_low(leaf) for leaf in tree_leaves((args, kwargs))):
            return func(*args, **kwargs)
        wide_args, wide_kwargs = tree_map(widened, (list(args), kwargs))
        result = func(*args, **kwargs)
        try:
            wide = func(*wide_args, **wide_kwargs)
        except Exception:  # an operator without fp64 stays as it is
            self.not_widened.add(name_of(func))
            return result
        for i, argument in enumerate(func._schema.arguments):
            if argument.alias_info is None or not argument.alias_info.is_write:
                continue
            pair = (args[i], wide_args[i]) if i < len(args) else (kwargs.get(argument.name),
                                                                 wide_kwargs.get(argument.name))
            self.put(*pair)
        if not func._schema.is_mutable:
            self.put(result, wide)
        return result

    def put(self, narrow, wide):
        for to, value in zip(tree_leaves(narrow), tree_leaves(wide)):
            if not is_low(to) or to.shape != value.shape:
                continue
            if self.noise is not None:
                half_ulp = torch.finfo(to.dtype).eps / 2
                value = value * (1 + half_ulp * (torch.rand(value.shape, generator=self.noise,
                                                            dtype=torch.float64) - 0.5))
            to.copy_(value)


class Given(TorchFunctionMode):
    """The user's references in place of the user's operators."""

    def __init__(self, references):
        super().__init__()
        self.references = references

    def __torch_function__(self, func, types, args=(), kwargs=None):
        name = func._qualified_op_name if hasattr(func, "_qualified_op_name") else ""
        if isinstance(func, torch._ops.OpOverload):
            name = name_of(func)
        return self.references.get(name, func)(*args, **(kwargs or {}))


class Bypassed(TorchDispatchMode):
    """Tensors that are read although no operator that the dispatcher saw has written them."""

    def __init__(self, module, known):
        super().__init__()
        self.module = module
        self.written = {}  # address: (storage, whether it has been written); keeps the storage alive
        self.found = {}
        self.path = [""]
        for tensor in known:
            self.mark(tensor, True)
        self.hooks = []
        for name, part in module.named_modules():
            self.hooks.append(part.register_forward_pre_hook(lambda *_, name=name: self.path.append(name)))
            self.hooks.append(part.register_forward_hook(lambda *_: self.leave()))

    def leave(self):
        self.path.pop()

    def mark(self, tensor, written):
        storage = tensor.untyped_storage()
        before = self.written.get(storage.data_ptr(), (None, False))[1]
        self.written[storage.data_ptr()] = (storage, written or before)

    def look(self, reader, tensor):
        if tensor.numel() <= 1 or not tensor.is_floating_point():
            return
        state = self.written.get(tensor.untyped_storage().data_ptr())
        if state is not None and state[1]:
            return
        what = "came from outside torch" if state is None else "was filled by something else than an operator"
        self.found.setdefault((self.path[-1], reader, what), list(tensor.shape))
        self.mark(tensor, True)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = name_of(func)
        writes = [argument.alias_info is not None and argument.alias_info.is_write
                  for argument in func._schema.arguments]
        allocates = "empty" in name.split("::")[1]
        if not func.is_view and not allocates and "lift_fresh" not in name and "detach" not in name:
            for i, value in enumerate(args):
                for leaf in tree_leaves(value):
                    if isinstance(leaf, torch.Tensor) and not writes[i]:
                        self.look(name, leaf)
        result = func(*args, **kwargs)
        for i, value in enumerate([*args, *kwargs.values()]):
            for leaf in tree_leaves(value):
                if isinstance(leaf, torch.Tensor) and (writes[i] if i < len(args) else func._schema.is_mutable):
                    self.mark(leaf, True)
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor) and not func.is_view:
                self.mark(leaf, not allocates)
        return result

    def close(self):
        for hook in self.hooks:
            hook.remove()
        return [{"module": module, "reader": reader, "what": f"a tensor {shape} {what}"}
                for (module, reader, what), shape in self.found.items()]


class Built:
    """What the user's function returned, by name."""

    def __init__(self, returned):
        if isinstance(returned, dict):
            parts = dict(returned)
        elif isinstance(returned, (tuple, list)) and len(returned) in (2, 3):
            parts = dict(zip(("module", "batch", "loss"), returned))
        else:
            raise Refusal("invalid_request", f"{HOW}; it returned {type(returned).__name__}")
        unknown = set(parts) - {"module", "batch", "loss", "references"}
        if unknown or "module" not in parts or "batch" not in parts:
            raise Refusal("invalid_request", f"{HOW}; it returned the names {sorted(map(str, parts))}")
        self.module, self.batch = parts["module"], parts["batch"]
        self.loss, self.references = parts.get("loss"), parts.get("references") or {}
        if not isinstance(self.module, torch.nn.Module):
            raise Refusal("invalid_request", f"{HOW}; the module is a {type(self.module).__name__}")
        if not isinstance(self.batch, (torch.Tensor, tuple, list, dict)):
            raise Refusal("invalid_request", "the batch must be a tensor, a tuple or a dictionary; it is a "
                          f"{type(self.batch).__name__}")
        if not (self.loss is None or callable(self.loss)):
            raise Refusal("invalid_request", "the loss must be a function of the module's output")

    def call(self, batch):
        if isinstance(batch, dict):
            return self.module(**batch)
        return self.module(*batch) if isinstance(batch, (tuple, list)) else self.module(batch)


def tensors_of(output):
    """[(name, tensor)] of whatever a module returns."""
    if isinstance(output, dict):
        output = dict(output)
    return [(f"output[{i}]", leaf) for i, leaf in enumerate(tree_leaves(output)) if isinstance(leaf, torch.Tensor)]


class UserModule:
    def __init__(self, spec):
        self.spec = spec
        path, _, self.function = spec.rpartition(":")
        self.path = pathlib.Path(path or spec)
        self.failure = None
        self.ready = None
        self.noise = {}  # gradients that passes start from: made once, for the recorder sees what makes them
        try:
            self.load()
        except Exception as error:
            self.failure = self.refusal(error)

    def load(self):
        if not self.path.is_file() or not self.function:
            raise Refusal("invalid_request", "must be FILE.py:FUNCTION, and the file must be there")
        sys.path.insert(0, str(self.path.resolve().parent))
        found = importlib.util.spec_from_file_location(f"ascertain_user_{self.path.stem}", self.path)
        loaded = importlib.util.module_from_spec(found)
        sys.modules[found.name] = loaded
        found.loader.exec_module(loaded)
        self.make = getattr(loaded, self.function, None)
        if not callable(self.make):
            raise Refusal("invalid_request", f"defines no function {self.function}")

    def refusal(self, error):
        """The error with the user's file and line, the innermost of the user's own."""
        if isinstance(error, Refusal):
            return Refusal(error.kind, f"{self.spec}: {error}")
        where = f"{self.spec}"
        if isinstance(error, SyntaxError) and error.filename:
            where = f"{error.filename}:{error.lineno}"
        frames = traceback.extract_tb(error.__traceback__)
        here = str(self.path.resolve())
        own = [frame for frame in frames if str(pathlib.Path(frame.filename).resolve()) == here]
        if own:
            where = f"{self.path}:{own[-1].lineno}"
        kind = "invalid_request"
        if isinstance(error, torch.OutOfMemoryError) or "not enough memory" in str(error):
            kind = "out_of_memory"
        elif isinstance(error, NotImplementedError):
            kind = "unsupported"
        elif isinstance(error, RuntimeError):
            kind = "device_error"
        text = str(error).strip().split("\n\n")[0]
        return Refusal(kind, f"{where}: {type(error).__name__}: {text[:2000]}")

    def built(self, seed):
        torch.manual_seed(seed)
        return Built(self.make())

    def prepare(self, how, device, seed, replica):
        """Makes `run` ready: the module on its device in its arithmetic, warm where that matters."""
        built = self.built(seed)
        place = torch.device("cpu") if how in ("reference", "twin") else torch.device(device)
        built.module.to(place)
        if how == "reference":
            built.module.to(torch.float64)
        batch = tree_map(lambda leaf: self.placed(leaf, place, how), built.batch)
        modes = {"reference": lambda: [Given(built.references), Wide()],
                 "twin": lambda: [Given(built.references), Twin(replica)]}.get(how, lambda: [])
        facts = {}
        if how == "compiled":
            torch._dynamo.reset()
            torch._dynamo.utils.counters.clear()
            plain, built.module = built.module, torch.compile(built.module)
            try:
                self.once(built, batch, [], seed)
            except Exception as error:
                said = str(error).strip().split("\n\n")[0][:1000]
                raise Refusal("unsupported", f"torch.compile could not compile it: {type(error).__name__}: {said}")
            counters = torch._dynamo.utils.counters
            facts = {"graphs": counters["stats"]["unique_graphs"],
                     "breaks": {str(reason).split("\n")[0][:200]: count
                                for reason, count in counters["graph_break"].items()}}
            if facts["graphs"] == 0:
                raise Refusal("unsupported", f"torch.compile compiled nothing of it: {facts['breaks']}")
            plain.zero_grad(set_to_none=True)
        if how == "graphed":
            if place.type != "cuda":
                raise Refusal("unsupported", f"graphs of kernels exist on cuda alone; this is {place}")
            arguments = batch if isinstance(batch, (tuple, list)) else (batch,)
            built.module = torch.cuda.make_graphed_callables(built.module, tuple(arguments))
        self.ready = (how, built, batch, modes, seed)
        facts["references"] = sorted(built.references)
        return [], facts

    @staticmethod
    def placed(leaf, place, how):
        if not isinstance(leaf, torch.Tensor):
            return leaf
        wide = how == "reference" and leaf.is_floating_point()
        return leaf.detach().to(place, torch.float64 if wide else leaf.dtype)

    def once(self, built, batch, modes, seed):
        """One forward and backward pass: [(name, tensor)]."""
        leaves = {}

        def leaf_of(path, value):
            if not isinstance(value, torch.Tensor) or not value.is_floating_point():
                return value
            leaves[f"gradient of input{path}"] = leaf = value.clone().requires_grad_(True)
            passed = leaf.clone()
            for mode in modes:
                if isinstance(mode, Bypassed):
                    mode.mark(passed, True)
            return passed

        if isinstance(batch, dict):
            inputs = {key: leaf_of(f"[{key}]", value) for key, value in batch.items()}
        elif isinstance(batch, (tuple, list)):
            inputs = [leaf_of(f"[{i}]", value) for i, value in enumerate(batch)]
        else:
            inputs = leaf_of("", batch)
        for mode in modes:
            mode.__enter__()
        try:
            output = built.call(inputs)
            named = [(name, tensor) for name, tensor in tensors_of(output) if tensor.is_floating_point()]
            if built.loss is not None:
                loss = built.loss(output)
                if not isinstance(loss, torch.Tensor) or loss.numel() != 1:
                    raise Refusal("invalid_request", "the loss must be one number, a tensor")
                named.append(("loss", loss))
                starts, gradients = [loss], None
            else:
                starts = [tensor for _, tensor in named if tensor.requires_grad]
                with _disable_current_modes():
                    gradients = self.gradients_for(starts, seed)
                for mode in modes:
                    for gradient in gradients if isinstance(mode, Bypassed) else ():
                        mode.mark(gradient, True)
            if not starts or not starts[0].requires_grad:
                raise Refusal("invalid_request", "nothing that it returns depends on a parameter or a floating input")
            torch.autograd.backward(starts, gradients)
        finally:
            for mode in reversed(modes):
                mode.__exit__(None, None, None)
        parameters = dict(built.module.named_parameters())
        for name, parameter in parameters.items():
            if parameter.requires_grad:
                named.append((f"gradient of {name.removeprefix('_orig_mod.')}", parameter.grad))
        named += [(name, leaf.grad) for name, leaf in leaves.items()]
        return named

    def gradients_for(self, starts, seed):
        shapes = tuple(tuple(tensor.shape) for tensor in starts)
        if (seed, shapes) not in self.noise:
            noise = torch.Generator().manual_seed(seed)
            # Whole multiples of 1/8: the same number in every precision.
            self.noise[seed, shapes] = [torch.randint(-16, 17, shape, generator=noise) / 8 for shape in shapes]
        return [made.to(tensor.device, tensor.dtype) for made, tensor in zip(self.noise[seed, shapes], starts)]

    def run(self):
        how, built, batch, modes, seed = self.ready
        built.module.zero_grad(set_to_none=True)
        modes = modes()
        begin = time.perf_counter()
        named = self.once(built, batch, modes, seed)
        facts = {"seconds": time.perf_counter() - begin, "names": [name for name, _ in named],
                 "absent": [tensor is None for _, tensor in named],
                 "dtypes": [str(tensor.dtype).removeprefix("torch.") if tensor is not None else None
                            for _, tensor in named]}
        for mode in modes:
            if isinstance(mode, Noting):
                facts["random"] = sorted(mode.random)
                facts["longest_sum"] = mode.longest_sum
            if isinstance(mode, Twin):
                facts["not_widened"] = sorted(mode.not_widened)
        return [torch.zeros(0) if tensor is None else tensor.detach() for _, tensor in named], facts

    def bypassed(self):
        """What the dispatcher does not see of an eager pass."""
        _, built, batch, _, seed = self.ready
        built.module.zero_grad(set_to_none=True)
        known = [*built.module.parameters(), *built.module.buffers(),
                 *[leaf for leaf in tree_leaves(batch) if isinstance(leaf, torch.Tensor)]]
        watch = Bypassed(built.module, known)
        try:
            self.once(built, batch, [watch], seed)
        finally:
            found = watch.close()
        return [], {"bypassed": found}

    def call(self, action, params):
        try:
            if self.failure is not None:
                raise self.failure
            asked = json.loads(params)
            tensors, facts = {"prepare": self.prepare, "run": self.run, "bypassed": self.bypassed}[action](**asked)
        except Refusal as error:
            text = str(error) if str(error).startswith(self.spec) or error is self.failure else f"{self.spec}: {error}"
            return [], json.dumps({"error": {"kind": error.kind, "message": text}})
        except Exception as error:
            refusal = self.refusal(error)
            return [], json.dumps({"error": {"kind": refusal.kind, "message": str(refusal)}})
        return tensors, json.dumps(facts)


def register(spec):
    """Makes the operator through which the worker calls; the library object must be kept."""
    module = UserModule(spec)
    library = torch.library.Library("ascertain_module", "DEF")
    library.define("call(str action, str params) -> (Tensor[], str)")
    library.impl("call", module.call, "CompositeImplicitAutograd")
    return library
