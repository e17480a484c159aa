// A truth value is no number.
// error: conversion from 'bool' to .*Tensor|no viable conversion from 'bool' to .*Tensor
#include <autograd/tensor.hpp>

xg::Tensor tensor = true;
