// Everything of xg::datasets in one include.
#pragma once

#include "datasets/csv.hpp"
#include "datasets/dataset.hpp"
#include "datasets/idx.hpp"
#include "datasets/images.hpp"
#include "datasets/loader.hpp"
#include "datasets/normaliser.hpp"
#include "datasets/npy.hpp"
