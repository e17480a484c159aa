# The installed package: headers under include/xgrad, find_package(xgrad CONFIG).
