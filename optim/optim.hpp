// Everything of xgrad's optimisers.
#pragma once

#include "optim/sgd.hpp"
