#!/usr/bin/env python3
"""JAX's training step on the CPU, jitted as a whole with donated state: the same networks, batch, loss and Adam as bench_train_step.

    python3 peer_jax.py --model mnist-cnn --batch 64      # one JSON line; uses every core it may: restrict it with taskset

XLA fuses Adam into one pass over memory, so this is the peer to beat on mnist-cnn. Needs jax and optax from PyPI.
"""
import json
import os
import time

from measurement import COUNT, SECONDS, Options, need_modules

need_modules("jax", "optax")
import jax
import jax.numpy as jnp
import optax
from jax import lax


def convolution(x, w, padding):
    return lax.conv_general_dilated(x, w, (1, 1), padding, dimension_numbers=("NHWC", "HWIO", "NHWC"))


def dense(key, inputs, outputs):
    return {"w": jax.random.normal(key, (inputs, outputs)) * inputs ** -0.5, "b": jnp.zeros(outputs)}


def affine(x, p):
    return x @ p["w"] + p["b"]


def mnist_cnn(key):
    p = {"conv": jax.random.normal(key, (3, 3, 1, 32)) * 0.1, "bias": jnp.zeros(32),
         "fc1": dense(key, 21632, 128), "fc2": dense(key, 128, 10)}

    def forward(p, x):
        x = jax.nn.relu(convolution(x, p["conv"], "VALID") + p["bias"]).reshape(x.shape[0], -1)
        return affine(jax.nn.relu(affine(x, p["fc1"])), p["fc2"])
    return p, forward, (28, 28, 1)


def cifar_cnn(key):
    widths, p = [3, 32, 64, 128], {}
    for i in range(3):
        c = widths[i + 1]
        p[f"conv{i}"] = {"w": jax.random.normal(key, (3, 3, widths[i], c)) * 0.1, "b": jnp.zeros(c),
                         "scale": jnp.ones(c), "shift": jnp.zeros(c)}
    p["fc1"], p["fc2"] = dense(key, 2048, 512), dense(key, 512, 10)

    def forward(p, x):
        for i in range(3):
            q = p[f"conv{i}"]
            x = convolution(x, q["w"], "SAME") + q["b"]
            mean = x.mean((0, 1, 2))
            x = (x - mean) * lax.rsqrt(jnp.square(x - mean).mean((0, 1, 2)) + 1e-5) * q["scale"] + q["shift"]
            x = lax.reduce_window(jax.nn.relu(x), -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
        return affine(jax.nn.relu(affine(x.reshape(x.shape[0], -1), p["fc1"])), p["fc2"])
    return p, forward, (32, 32, 3)


MODELS = {"mnist-cnn": mnist_cnn, "cifar-cnn": cifar_cnn}


def main():
    parser = Options(__doc__)
    parser.add_argument("--model", choices=MODELS, default="mnist-cnn", help="network")
    parser.add_argument("--batch", type=COUNT, default=64, help="samples per step")
    parser.add_argument("--inference", action="store_true", help="forward passes alone; statistics of batch norm are those of the batch")
    parser.add_argument("--seconds", type=SECONDS, default=4, help="of measurement")
    a = parser.parse_args()
    key = jax.random.PRNGKey(0)
    parameters, forward, shape = MODELS[a.model](key)
    batches = [(jax.random.uniform(jax.random.PRNGKey(i), (a.batch, *shape), minval=-1), (jnp.arange(a.batch) * 7 + i) % 10)
               for i in range(8)]
    adam = optax.adam(1e-3)
    state = adam.init(parameters)

    def step(parameters, state, x, y):
        def loss(p):
            return optax.softmax_cross_entropy_with_integer_labels(forward(p, x), y).mean()
        value, gradients = jax.value_and_grad(loss)(parameters)
        updates, state = adam.update(gradients, state)
        return optax.apply_updates(parameters, updates), state, value

    if a.inference:
        infer = jax.jit(forward)

        def step(parameters, state, x, y):
            return parameters, state, infer(parameters, x)
    else:
        step = jax.jit(step, donate_argnums=(0, 1))
    for i in range(6):
        parameters, state, value = step(parameters, state, *batches[i])
    value.block_until_ready()
    times, begin = [], time.perf_counter()
    while time.perf_counter() - begin < a.seconds or len(times) < 5:
        start = time.perf_counter()
        parameters, state, value = step(parameters, state, *batches[len(times) % 8])
        jax.block_until_ready((parameters, state, value))
        times.append(time.perf_counter() - start)
    times.sort()

    def rate(quantile):
        return round(a.batch / times[int((len(times) - 1) * quantile)], 1)
    print(json.dumps({"model": a.model, "batch": a.batch, "threads": len(os.sched_getaffinity(0)), "version": jax.__version__,
                      "samples_per_second": rate(0.5), "p10": rate(0.9), "p90": rate(0.1), "steps": len(times)}))


if __name__ == "__main__":
    main()
