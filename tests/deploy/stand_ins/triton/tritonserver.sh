#!/usr/bin/env bash
# The wheel's tritonserver as the real image offers it: on PATH, with its libraries, its python backend, and a Python for
# the backend's stub that has ONNX Runtime.
exec env \
    PATH=/opt/stub/bin:/usr/bin:/bin \
    LD_LIBRARY_PATH=/opt/tritonserver/libs:/usr/lib/x86_64-linux-gnu \
    /opt/tritonserver/bin/tritonserver --backend-directory=/opt/tritonserver/backends --allow-gpu-metrics=false "$@"
