#include "proxy/config/config.h"
