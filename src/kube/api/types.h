// Every typed object of the Kubernetes API that we read or write.
#pragma once

#include "kube/api/config.h"
#include "kube/api/event.h"
#include "kube/api/kind.h"
#include "kube/api/meta.h"
#include "kube/api/node.h"
#include "kube/api/pod.h"
#include "kube/api/policy.h"
#include "kube/api/service.h"
#include "kube/api/workload.h"
