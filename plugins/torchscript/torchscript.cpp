/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TorchScript models by LibTorch, as a plug-in for Phoenix (docs/api/plugins.md).
 *
 *     engine: {name: torchscript, settings: {threads: 2}}
 *     model: model.pt              # torch.jit.script(model).save("model.pt")
 *     inputs: [{name: x, type: FP32, shape: [-1, 4]}]
 *     outputs: [{name: y, type: FP32, shape: [-1, 1]}]
 *
 * A script file names the arguments of forward(), but says neither types nor shapes, so model.yaml declares the tensors. Inputs meet
 * the arguments by name, or by position when no name is an argument's; outputs meet a tuple by position, a dict by key.
 *
 * The one place of the project with C++: LibTorch has no C interface. No exception leaves this file. Inputs are copied, because a
 * model may write to its arguments and the request's bytes are not its own.
 */
#include <phoenix/engine.h>

#include <ATen/Parallel.h>
#include <torch/script.h>

#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

namespace {

struct Type {
    uint32_t ours;
    at::ScalarType theirs;
};

const Type types[] = {
    {PHX_BOOL, at::kBool},  {PHX_UINT8, at::kByte}, {PHX_INT8, at::kChar},
    {PHX_INT16, at::kShort}, {PHX_INT32, at::kInt},  {PHX_INT64, at::kLong},
    {PHX_FP16, at::kHalf},  {PHX_BF16, at::kBFloat16}, {PHX_FP32, at::kFloat},
    {PHX_FP64, at::kDouble},
};

const Type *find_type(uint32_t ours)
{
    for (const Type &type : types)
        if (type.ours == ours)
            return &type;
    return nullptr;
}

const Type *find_type(at::ScalarType theirs)
{
    for (const Type &type : types)
        if (type.theirs == theirs)
            return &type;
    return nullptr;
}

int fail(phx_error *error, int code, const std::string &text)
{
    std::snprintf(error->text, error->cap, "%.*s", (int)text.find_first_of('\n'), text.c_str());
    return code;
}

int check_types(const phx_tensor_spec *specs, uint32_t n, phx_error *error)
{
    for (uint32_t i = 0; i < n; i++)
        if (!find_type(specs[i].datatype))
            return fail(error, PHX_ENGINE_UNSUPPORTED,
                        std::string("tensor '") + specs[i].name + "' has a datatype that TorchScript has not\n");
    return PHX_ENGINE_OK;
}

} // namespace

struct phx_engine {
    torch::jit::script::Module module;
    std::vector<std::string> arguments; /* name of the input for each argument of forward() */
    std::vector<std::string> outputs;
};

namespace {

/* Which declared input is which argument. */
int match_arguments(phx_engine *engine, const phx_specs &declared, phx_error *error)
{
    const auto &schema = engine->module.get_method("forward").function().getSchema();
    const auto &arguments = schema.arguments(); /* the first is self */
    bool by_name = false;
    for (uint32_t i = 0; i < declared.n_inputs; i++)
        for (size_t k = 1; k < arguments.size(); k++)
            by_name |= arguments[k].name() == declared.inputs[i].name;
    for (size_t k = 1; k < arguments.size(); k++) {
        std::string name;
        for (uint32_t i = 0; i < declared.n_inputs; i++)
            if (by_name ? arguments[k].name() == declared.inputs[i].name : i == k - 1)
                name = declared.inputs[i].name;
        if (name.empty() && !arguments[k].default_value())
            return fail(error, PHX_ENGINE_INVALID,
                        "forward() takes an argument '" + arguments[k].name() +
                            "' that model.yaml does not list among its inputs\n");
        if (name.empty())
            break; /* it and the rest keep their defaults */
        engine->arguments.push_back(name);
    }
    if (engine->arguments.size() < declared.n_inputs)
        return fail(error, PHX_ENGINE_INVALID,
                    "model.yaml lists more inputs than forward() has arguments\n");
    return PHX_ENGINE_OK;
}

int load(const phx_engine_config *config, phx_engine *engine, phx_error *error)
{
    bool optimise = true;
    for (uint32_t i = 0; i < config->n_settings; i++) {
        const std::string key = config->settings[i].key, value = config->settings[i].value;
        if (key == "threads" && std::atoi(value.c_str()) > 0)
            at::set_num_threads(std::atoi(value.c_str()));
        else if (key == "optimise" && (value == "true" || value == "false"))
            optimise = value == "true";
        else
            return fail(error, PHX_ENGINE_INVALID,
                        "settings." + key + ": '" + value + "' is neither threads: N nor optimise: true\n");
    }
    const phx_specs &declared = config->declared;
    if (declared.n_inputs == 0 || declared.n_outputs == 0)
        return fail(error, PHX_ENGINE_INVALID,
                    "a TorchScript file does not say what its tensors are: list 'inputs' and 'outputs' in model.yaml\n");
    int code = check_types(declared.inputs, declared.n_inputs, error);
    if (code == PHX_ENGINE_OK)
        code = check_types(declared.outputs, declared.n_outputs, error);
    if (code != PHX_ENGINE_OK)
        return code;
    engine->module = torch::jit::load(config->path, at::kCPU);
    engine->module.eval();
    for (uint32_t i = 0; i < declared.n_outputs; i++)
        engine->outputs.push_back(declared.outputs[i].name);
    code = match_arguments(engine, declared, error);
    if (code == PHX_ENGINE_OK && optimise)
        engine->module = torch::jit::freeze(engine->module);
    return code;
}

int create(const phx_engine_config *config, phx_engine **ret, phx_error *error)
{
    phx_engine *engine = nullptr;
    int code = PHX_ENGINE_CORRUPT;
    try {
        engine = new phx_engine;
        code = load(config, engine, error);
    } catch (const c10::Error &problem) {
        fail(error, code, std::string(problem.what_without_backtrace()) + "\n");
    } catch (const std::exception &problem) {
        fail(error, code, std::string(problem.what()) + "\n");
    }
    if (code == PHX_ENGINE_OK)
        *ret = engine;
    else
        delete engine;
    return code;
}

at::Tensor take(const phx_tensor &input)
{
    std::vector<int64_t> dims(input.dims, input.dims + input.n_dims);
    const auto options = at::TensorOptions().dtype(find_type(input.datatype)->theirs);
    return torch::from_blob(const_cast<void *>(input.data), dims, options).clone();
}

std::vector<c10::IValue> take_inputs(const phx_engine *engine, const phx_run *run)
{
    std::vector<c10::IValue> values;
    for (const std::string &name : engine->arguments) {
        const phx_tensor *input = nullptr;
        for (uint32_t i = 0; i < run->n_inputs; i++)
            if (name == run->inputs[i].name)
                input = &run->inputs[i];
        if (!input) /* optional: the argument is one that may be None */
            values.emplace_back();
        else
            values.emplace_back(take(*input));
    }
    return values;
}

/* The tensor of that name among what forward() returned. */
at::Tensor pick(const phx_engine *engine, const c10::IValue &answer, const std::string &name)
{
    if (answer.isGenericDict())
        return answer.toGenericDict().at(c10::IValue(name)).toTensor();
    size_t index = 0;
    while (index < engine->outputs.size() && engine->outputs[index] != name)
        index++;
    if (answer.isTuple())
        return answer.toTupleRef().elements().at(index).toTensor();
    if (answer.isTensorList())
        return answer.toTensorVector().at(index);
    TORCH_CHECK(index == 0, "forward() returns one tensor, model.yaml lists several outputs");
    return answer.toTensor();
}

int give(phx_run *run, phx_tensor *output, const at::Tensor &value)
{
    const at::Tensor tensor = value.cpu().contiguous();
    const Type *type = find_type(tensor.scalar_type());
    if (!type || tensor.dim() > PHX_TENSOR_DIMS_MAX)
        return fail(&run->error, PHX_ENGINE_FAILED,
                    std::string("output '") + output->name + "' is of a type or rank that cannot be answered\n");
    void *data = run->alloc(run, tensor.nbytes());
    if (!data)
        return fail(&run->error, PHX_ENGINE_NO_MEMORY, "no memory for the outputs\n");
    std::memcpy(data, tensor.data_ptr(), tensor.nbytes());
    output->datatype = type->ours;
    output->n_dims = (uint32_t)tensor.dim();
    for (int64_t i = 0; i < tensor.dim(); i++)
        output->dims[i] = tensor.size(i);
    output->data = data;
    output->size = tensor.nbytes();
    return PHX_ENGINE_OK;
}

int run_model(phx_engine *engine, phx_run *run)
{
    try {
        const c10::InferenceMode inference;
        const c10::IValue answer = engine->module.forward(take_inputs(engine, run));
        int code = PHX_ENGINE_OK;
        for (uint32_t i = 0; i < run->n_outputs && code == PHX_ENGINE_OK; i++)
            code = give(run, &run->outputs[i], pick(engine, answer, run->outputs[i].name));
        return code;
    } catch (const c10::Error &problem) {
        return fail(&run->error, PHX_ENGINE_FAILED, std::string(problem.what_without_backtrace()) + "\n");
    } catch (const std::exception &problem) {
        /* The interpreter's text begins with where; the last line says what. */
        std::string text = problem.what();
        while (!text.empty() && text.back() == '\n')
            text.pop_back();
        return fail(&run->error, PHX_ENGINE_FAILED, text.substr(text.find_last_of('\n') + 1) + "\n");
    }
}

void destroy(phx_engine *engine)
{
    delete engine;
}

} // namespace

extern "C" PHX_ENGINE_EXPORT const phx_engine_ops *phx_engine_entry(uint32_t host_abi)
{
    static const phx_engine_ops ops = {
        sizeof ops, PHX_ENGINE_ABI, 0, 0, "torchscript", PX_TORCH_VERSION,
        create, nullptr, run_model, nullptr, destroy};
    return host_abi >= PHX_ENGINE_ABI ? &ops : nullptr;
}
