// The API server that api_client_cases.cc runs against: started once by embedded_api.cc or kubernetes_api.cc.
#pragma once

#include "kube/client/config.h"

namespace causeway::test {

class ApiUnderTest {
 public:
  virtual ~ApiUnderTest() = default;
  // How an administrator reaches it.
  virtual kube::Config config() = 0;
  // Forgets what was before the present state: watches and continue tokens of older versions become too old.
  virtual void forget_history() = 0;
};

// Ends the process, saying why, when it cannot be started.
std::unique_ptr<ApiUnderTest> start_api();

}  // namespace causeway::test
