# SPDX-License-Identifier: Apache-2.0
"""The child process of a Python model: the other side of ring.h, which describes the bytes.

Started as `python3 -c <this text>` with the memory file as descriptor 3. Needs the standard library; tensors are numpy arrays
where numpy can be imported, else (nested) lists.
"""
import ctypes
import mmap
import os
import signal
import struct
import sys
import time
import traceback

try:
    import numpy
except ImportError:
    numpy = None

RING_FD, HEAD, MAGIC, VERSION = 3, 4096, 0x31525850, 1
ASKED, ASKED_SLEEPER, ANSWERED, CANCELLED = 64 // 4, 68 // 4, 128 // 4, 192 // 4
LOAD, RUN, STOP, READY, DONE, FAILED = 1, 2, 3, 16, 17, 18
INVALID, NO_MEMORY, INTERNAL = 10, 72, 73
MESSAGE = struct.Struct("<8I4Q")   # kind number n_inputs n_outputs code flags texts_size 0 size deadline sequence 0
PART = struct.Struct("<4I8q2Q")    # spec datatype n_dims flags dims at size
OPTIONAL, ANY_RANK = 1, 2
NAMES = ["", "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "BF16",
         "FP32", "FP64", "BYTES"]
CODES = ["", "?", "B", "H", "I", "Q", "b", "h", "i", "q", "e", "H", "f", "d", ""]
BF16, BYTES = NAMES.index("BF16"), NAMES.index("BYTES")
FUTEX = {"x86_64": 202, "aarch64": 98}.get(os.uname().machine)
FUTEX_WAIT, FUTEX_WAKE = 0, 1


class Failure(Exception):
    """What the host is told; not the model's own exception."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


class Spec:
    """What the model says of one input or output."""

    def __init__(self, name, datatype, dims, flags):
        self.name, self.datatype, self.dims, self.flags = name, datatype, dims, flags
        if numpy and datatype not in (BF16, BYTES):
            self.dtype = numpy.dtype("<" + CODES[datatype] if datatype > 1 else "?")

    def part(self):
        return PART.pack(0, self.datatype, len(self.dims), self.flags, *pad(self.dims), 0, 0)


def pad(dims):
    return list(dims) + [0] * (8 - len(dims))


def product(dims):
    n = 1
    for dim in dims:
        n *= dim
    return n


class Ring:
    """The shared memory and the waiting on its words."""

    def __init__(self):
        size = os.fstat(RING_FD).st_size
        self.map = mmap.mmap(RING_FD, size)
        os.close(RING_FD)
        magic, version, area, self.memory_max, parent, spin_us = struct.unpack_from("<2I2Q2I", self.map, 0)
        if (magic, version) != (MAGIC, VERSION):
            sys.exit("the host speaks another version of the ring")
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:
            os._exit(64)
        self.syscall = libc.syscall
        self.syscall.argtypes = [ctypes.c_long, ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32, ctypes.c_void_p]
        view = memoryview(self.map)
        self.words = view[:HEAD].cast("I")
        self.request, self.answer = view[HEAD:HEAD + area], view[HEAD + area:HEAD + 2 * area]
        self.base = ctypes.addressof(ctypes.c_char.from_buffer(self.map))
        self.area = area
        self.most_ns = self.patience_ns = spin_us * 1000
        self.n_without = 0
        self.hour = (ctypes.c_long * 2)(3600, 0)

    def look(self, number):
        """Looks for a newer request as long as that has been worth it lately; ring.h tells why."""
        words = self.words
        if self.patience_ns < 1000:
            self.n_without += 1
            if self.n_without < 64:
                return False
            self.n_without, self.patience_ns = 0, self.most_ns // 4
        end = time.perf_counter_ns() + self.patience_ns
        found = False
        while self.patience_ns and not found and time.perf_counter_ns() < end:
            for _ in range(32):
                if words[ASKED] != number:
                    found = True
                    break
        self.patience_ns = min(self.patience_ns * 2, self.most_ns) if found else self.patience_ns // 2
        return found

    def wait(self, number):
        """Until the host has asked something newer than `number`."""
        words = self.words
        if words[ASKED] != number or self.look(number):
            return words[ASKED]
        while words[ASKED] == number:
            if FUTEX is None:
                time.sleep(0.0001)
                continue
            words[ASKED_SLEEPER] = 1
            self.syscall(FUTEX, self.base + 4 * ASKED, FUTEX_WAIT, number, ctypes.addressof(self.hour))
            words[ASKED_SLEEPER] = 0
        return words[ASKED]

    def post(self, number):
        self.words[ANSWERED] = number
        if FUTEX is not None:
            self.syscall(FUTEX, self.base + 4 * ANSWERED, FUTEX_WAKE, 1, None)


def split_texts(texts):
    parts, at = [], 0
    while at < len(texts):
        (n,) = struct.unpack_from("<I", texts, at)
        parts.append(bytes(texts[at + 4:at + 4 + n]))
        at += 4 + n
    return parts


def join_texts(texts):
    return b"".join(struct.pack("<I", len(text)) + text for text in texts)


def read_message(area):
    head = MESSAGE.unpack_from(area, 0)
    n = head[2] + head[3]
    parts = list(PART.iter_unpack(area[64:64 + 96 * n]))
    return head, parts, area[64 + 96 * n:64 + 96 * n + head[6]]


def read_specs(parts, names):
    return [Spec(name.decode(), p[1], list(p[4:4 + p[2]]), p[3]) for p, name in zip(parts, names)]


def as_specs(described, what):
    """Specs of the model's own `inputs` or `outputs`: {"x": ("FP32", [-1, 4])}."""
    specs = []
    for name, (datatype, dims) in described.items():
        if datatype not in NAMES[1:]:
            raise Failure(INVALID, "%s '%s': there is no datatype '%s'" % (what, name, datatype))
        specs.append(Spec(name, NAMES.index(datatype), list(dims), 0))
    return specs


# ---- tensors ----

def nest(flat, dims):
    """A flat list as nested ones of that shape."""
    for dim in reversed(dims[1:]):
        flat = [flat[i:i + dim] for i in range(0, len(flat), dim)] if dim else [[] for _ in range(product(dims[:-1]))]
        dims = dims[:-1]
    return flat


def flatten(value, dims):
    """A nested list as (flat list, shape); a scalar has no dimensions."""
    if not isinstance(value, (list, tuple)):
        return [value], []
    if not value:
        return [], [0]
    parts = [flatten(item, dims) for item in value]
    if any(shape != parts[0][1] for _, shape in parts):
        raise Failure(INTERNAL, "its lists have different lengths")
    return [item for flat, _ in parts for item in flat], [len(value)] + parts[0][1]


def read_tensor(spec, part, area):
    dims = part[4:4 + part[2]]
    data = area[part[12]:part[12] + part[13]]
    if spec.datatype == BYTES:
        texts = split_texts(data)
        return numpy.array(texts, dtype=object).reshape(dims) if numpy else nest(texts, list(dims))
    if numpy is None:
        values = list(struct.unpack("<%d%s" % (product(dims), CODES[spec.datatype]), data))
        if spec.datatype == BF16:
            values = [struct.unpack("<f", struct.pack("<I", v << 16))[0] for v in values]
        return nest(values, list(dims)) if dims else values[0]
    if spec.datatype == BF16:
        wide = numpy.frombuffer(data, "<u2").astype("<u4") << 16
        return wide.view("<f4").reshape(dims)
    return numpy.frombuffer(data, spec.dtype).reshape(dims).copy()


def as_bytes(text):
    return text.encode() if isinstance(text, str) else bytes(text)


def bf16_of(value):
    (bits,) = struct.unpack("<I", struct.pack("<f", value))
    if value != value:
        return 0x7fc0
    rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16
    if rounded & 0x7fff == 0x7f80 and abs(value) != float("inf"):
        raise Failure(INTERNAL, "%g does not fit in BF16" % value)
    return rounded


def encode_list(spec, value):
    flat, dims = flatten(value, [])
    if spec.datatype == BYTES:
        return join_texts([as_bytes(text) for text in flat]), dims
    if spec.datatype == BF16:
        flat = [bf16_of(item) for item in flat]
    return struct.pack("<%d%s" % (len(flat), CODES[spec.datatype]), *flat), dims


def check_range(spec, array, is_infinite):
    """Numbers that the datatype cannot hold would leave as other ones, or as infinities."""
    if array.size == 0:
        return
    if is_infinite is not None:
        bad = array[numpy.isfinite(array) & is_infinite]
    else:
        limits = numpy.iinfo(spec.dtype)
        bad = [item for item in (array.min(), array.max()) if not limits.min <= int(item) <= limits.max]
    if len(bad):
        raise Failure(INTERNAL, "%s does not fit in %s" % (bad[0], NAMES[spec.datatype]))


def encode_array(spec, value):
    array = numpy.asarray(value)
    if spec.datatype == BYTES:
        return join_texts([as_bytes(text) for text in array.ravel().tolist()]), array.shape
    if spec.datatype == BF16:
        with numpy.errstate(over="ignore"):
            bits = numpy.ascontiguousarray(array, "<f4").view("<u4").reshape(array.shape)
        rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16
        rounded = numpy.where(numpy.isnan(bits.view("<f4")), 0x7fc0, rounded)
        check_range(spec, array, rounded & 0x7fff == 0x7f80)
        return rounded.astype("<u2"), array.shape
    if array.dtype != spec.dtype:
        if array.size and not numpy.can_cast(array.dtype, spec.dtype, "same_kind"):
            # Lists of Python's own numbers have no type that somebody chose: they count by their values.
            cast = array.astype(spec.dtype) if array.dtype.kind in "biuf" else None
            if isinstance(value, numpy.ndarray) or cast is None or not (cast == array).all():
                raise Failure(INTERNAL, "expected %s, got an array of %s" % (NAMES[spec.datatype], array.dtype))
        with numpy.errstate(over="ignore"):
            cast = array.astype(spec.dtype)
        if spec.dtype.kind == "f":
            check_range(spec, array, numpy.isinf(cast))
        elif spec.dtype.kind in "iu":
            check_range(spec, array, None)
        array = cast
    return numpy.ascontiguousarray(array).reshape(array.shape), array.shape


def encode(spec, value):
    try:
        data, dims = encode_array(spec, value) if numpy else encode_list(spec, value)
    except Failure as failure:
        raise Failure(failure.code, "output '%s': %s" % (spec.name, failure)) from None
    except Exception as error:
        raise Failure(INTERNAL, "output '%s' is no %s: %s" % (spec.name, NAMES[spec.datatype], error)) from error
    if len(dims) > 8:
        raise Failure(INTERNAL, "output '%s' has %d dimensions, at most 8" % (spec.name, len(dims)))
    return data if isinstance(data, bytes) else data.reshape(-1).view("u1").data, dims


# ---- the model ----

class Model:
    """The user's file, loaded."""

    def __init__(self, head, parts, texts):
        texts = split_texts(texts)
        self.name, _, folder, path, function = (text.decode() for text in texts[:5])
        n_inputs, n = head[2], head[2] + head[3]
        names, rest = texts[5:5 + n], [text.decode() for text in texts[5 + n:]]
        inputs = read_specs(parts[:n_inputs], names[:n_inputs])
        outputs = read_specs(parts[n_inputs:], names[n_inputs:])
        settings = dict(zip(rest[::2], rest[1::2]))
        sys.path[0:1] = [os.path.dirname(path), folder]
        module = self.load_module(path)
        self.predict = getattr(module, function, None)
        if not callable(self.predict):
            raise Failure(INVALID, "%s has no function '%s'" % (os.path.basename(path), function))
        if callable(getattr(module, "load", None)) and function != "load":
            module.load(settings)
        elif settings:
            raise Failure(INVALID, "%s has no load(settings) that could take engine.settings"
                          % os.path.basename(path))
        self.inputs = inputs or as_specs(getattr(module, "inputs", {}), "input")
        self.outputs = outputs or as_specs(getattr(module, "outputs", {}), "output")
        self.version = str(getattr(module, "__version__", ""))

    @staticmethod
    def load_module(path):
        import importlib.util
        spec = importlib.util.spec_from_file_location("phoenix_model", path)
        module = importlib.util.module_from_spec(spec)
        sys.modules["phoenix_model"] = module
        spec.loader.exec_module(module)
        return module

    def ready(self):
        specs = self.inputs + self.outputs
        texts = join_texts([self.name.encode(), self.version.encode()] + [spec.name.encode() for spec in specs])
        return b"".join(spec.part() for spec in specs) + texts, len(texts)

    def run(self, parts, n_inputs, area):
        inputs = {}
        for part in parts[:n_inputs]:
            spec = self.inputs[part[0]]
            inputs[spec.name] = read_tensor(spec, part, area)
        outputs = self.predict(inputs)
        if not isinstance(outputs, dict):
            raise Failure(INTERNAL, "it returned %s, not a dict" % type(outputs).__name__)
        tensors = []
        for part in parts[n_inputs:]:
            spec = self.outputs[part[0]]
            if spec.name not in outputs:
                raise Failure(INTERNAL, "its dict has no '%s'" % spec.name)
            tensors.append((spec,) + encode(spec, outputs[spec.name]))
        return tensors


def write_done(ring, number, tensors):
    area, at, parts = ring.answer, 64 + 96 * len(tensors), []
    for spec, data, dims in tensors:
        at = (at + 63) & ~63
        size = len(data)
        if at + size > ring.area:
            raise Failure(NO_MEMORY, "the outputs do not fit into %d bytes; raise engine.transfer_mb" % ring.area)
        area[at:at + size] = data
        parts.append(PART.pack(0, spec.datatype, len(dims), 0, *pad(dims), at, size))
        at += size
    packed = b"".join(parts)
    area[64:64 + len(packed)] = packed
    MESSAGE.pack_into(area, 0, DONE, number, 0, len(tensors), 0, 0, 0, 0, at, 0, 0, 0)


def write_failure(ring, number, code, text):
    texts = join_texts([text.encode("utf-8", "replace")[:2000]])
    ring.answer[64:64 + len(texts)] = texts
    MESSAGE.pack_into(ring.answer, 0, FAILED, number, 0, 0, code, 0, len(texts), 0, 64 + len(texts), 0, 0, 0)


def describe(error):
    text = str(error).strip().split("\n")[0] if str(error).strip() else ""
    return "%s: %s" % (type(error).__name__, text) if text else type(error).__name__


def answer(ring, number, model):
    """Answers one request; the model that is loaded afterwards, None to stop."""
    head, parts, texts = read_message(ring.request)
    if head[0] == STOP:
        return None
    if head[0] == LOAD:
        model = Model(head, parts, texts)
        body, texts_size = model.ready()
        ring.answer[64:64 + len(body)] = body
        MESSAGE.pack_into(ring.answer, 0, READY, number, len(model.inputs), len(model.outputs), 0, 0, texts_size, 0,
                          64 + len(body), 0, 0, 0)
    else:
        write_done(ring, number, model.run(parts, head[2], ring.request))
    return model


def limit_memory(size):
    if size:
        import resource
        resource.setrlimit(resource.RLIMIT_AS, (size, size))


def serve():
    ring = Ring()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    limit_memory(ring.memory_max)
    number, model = 0, False
    while model is not None:
        number = ring.wait(number)
        try:
            model = answer(ring, number, model)
        except Failure as failure:
            write_failure(ring, number, failure.code, str(failure))
        except MemoryError as error:
            write_failure(ring, number, NO_MEMORY, describe(error))
        except ValueError as error:  # how a model says that its input is wrong
            traceback.print_exc()
            write_failure(ring, number, INVALID if model else INTERNAL, describe(error))
        except Exception as error:
            traceback.print_exc()
            write_failure(ring, number, INTERNAL, describe(error))
        if model is not None:
            ring.post(number)
    sys.stdout.flush()
    os._exit(0)


serve()
