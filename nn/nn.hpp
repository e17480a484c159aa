// Everything of xgrad's neural networks.
#pragma once

#include "nn/activations.hpp"
#include "nn/costs.hpp"
#include "nn/initialisers.hpp"
#include "nn/layers.hpp"
#include "nn/module.hpp"
