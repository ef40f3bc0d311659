#include "proxy/admin/admin_api.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/admin/fake_backend.h"

namespace serin {
namespace {

using nlohmann::json;

class AdminApiTest : public testing::Test {
 protected:
  AdminAnswer Get(std::string_view path, std::string_view query = "") {
    return api_.Handle({"GET", path, query, "", 1000});
  }
  AdminAnswer Post(std::string_view path, std::string_view body = "", int64_t uid = 1000) {
    return api_.Handle({"POST", path, "", body, uid});
  }
  // The error text of an answer that must have `status`.
  static std::string Error(const AdminAnswer& answer, uint16_t status) {
    EXPECT_EQ(answer.status, status) << answer.body;
    return json::parse(answer.body).at("error");
  }

  FakeBackend backend_;
  AdminApi api_{backend_, {}};
};

TEST_F(AdminApiTest, StatusHasTheDocumentedShape) {
  backend_.report = SteppingReport();
  const AdminAnswer answer = Get("/v1/status");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.content_type, "application/json");
  EXPECT_EQ(answer.body,
            R"({"state":"stepping","release":"v42","step":2,"steps":5,"hold_remaining_seconds":90.5,)"
            R"("weight":{"target":0.25,"observed":0.249},"roles":{"stable":"blue","canary":"green"},)"
            R"("pools":{"blue":)"
            R"({"role":"stable","state":"serving","in_flight":0,)"
            R"("requests":750,"errors":3,"slow":1,"error_ratio":0.004,"p95_seconds":0.12},)"
            R"("green":)"
            R"({"role":"canary","state":"draining","in_flight":3,)"
            R"("requests":250,"errors":2,"slow":0,"error_ratio":0.008,"p95_seconds":0.11}},)"
            R"("reason":"holding at 25% until 12:00","alarm":false,)"
            R"("alarm_reason":"",)"
            R"("manual":false,"undoable":false,"step_requests":0,"expected_requests":0.0,)"
            R"("evidence":{"errors":0.333333,"latency":0.0},)"
            R"("reverts":{"error_rate":0,"latency":0,"dead_pool":0,"operator":0,"journal":0},)"
            R"("epoch":7,"version":"1.2.3",)"
            R"("started_at":"2025-12-31T23:59:59.042Z","workers":2})"
            "\n");
}

TEST_F(AdminApiTest, ObservedIsNullWithoutRequests) {
  const json status = json::parse(Get("/v1/status").body);
  EXPECT_TRUE(status["weight"]["observed"].is_null());
  EXPECT_EQ(status["state"], "stable");
}

TEST_F(AdminApiTest, ExplainSaysWhy) {
  backend_.report = SteppingReport();
  EXPECT_EQ(Get("/v1/explain").body, R"({"state":"stepping","reason":"holding at 25% until 12:00",)"
                                     R"("explanation":"A paragraph.","alarm":false,"alarm_reason":""})"
                                     "\n");
}

TEST_F(AdminApiTest, HistoryIsNewestLastAndCanBeLimited) {
  backend_.history = {
      {absl::FromUnixSeconds(0), "start", "v1", Weight(), RolloutState::kStepping, "uid 0", "asked"},
      {absl::FromUnixSeconds(1), "step", "v1", Weight::Percent(10), RolloutState::kStepping, "serin", "",
       "numbers"}};
  EXPECT_EQ(json::parse(Get("/v1/history").body)["entries"].size(), 2u);
  EXPECT_EQ(Get("/v1/history", "limit=1").body,
            R"({"entries":[{"at":"1970-01-01T00:00:01.000Z","event":"step","release":"v1","weight":0.1,)"
            R"("state":"stepping","by":"serin","reason":"","evidence":"numbers"}]})"
            "\n");
  for (const char* query : {"limit=0", "limit=x", "limit=-1", "limit=", "last=1", "limit=1&limit=2"}) {
    EXPECT_EQ(Error(Get("/v1/history", query), 400), "/v1/history takes limit=N only, N at least 1");
  }
}

TEST_F(AdminApiTest, EveryVerbReachesTheController) {
  for (const char* verb : {"pause", "resume", "promote", "abort", "retry", "undo"}) {
    EXPECT_EQ(Post(std::string("/v1/rollout/") + verb).status, 200) << verb;
  }
  EXPECT_EQ(Post("/v1/rollout/promote", R"({"full":true})").status, 200);
  EXPECT_EQ(Post("/v1/rollout/promote", R"({"full":false})").status, 200);
  EXPECT_EQ(Post("/v1/rollout/start", R"({"release":"v42"})").status, 200);
  EXPECT_EQ(Post("/v1/weight", R"({"canary":12.34})").status, 200);
  std::vector<Verb> verbs;
  for (const Command& command : backend_.commands) verbs.push_back(command.verb);
  EXPECT_EQ(verbs, (std::vector<Verb>{Verb::kPause, Verb::kResume, Verb::kPromote, Verb::kAbort, Verb::kRetry,
                                      Verb::kUndo, Verb::kPromoteFull, Verb::kPromote, Verb::kStart,
                                      Verb::kWeight}));
  EXPECT_EQ(backend_.commands[8].release, "v42");
  EXPECT_EQ(backend_.commands[9].weight, Weight::BasisPoints(1234));
  EXPECT_EQ(backend_.commands[9].by, "uid 1000");
}

TEST_F(AdminApiTest, DrainsAndReloads) {
  EXPECT_EQ(Post("/v1/pool/blue/drain").status, 200);
  EXPECT_EQ(Post("/v1/pool/green/drain", "{}").status, 200);
  EXPECT_EQ(Post("/v1/pool/blue/undrain").status, 200);
  EXPECT_EQ(Post("/v1/pool/green/undrain").status, 200);
  EXPECT_EQ(Post("/v1/reload").status, 200);
  std::vector<std::pair<Verb, PoolId>> asked;
  for (const Command& command : backend_.commands) asked.emplace_back(command.verb, command.pool);
  EXPECT_EQ(asked, (std::vector<std::pair<Verb, PoolId>>{{Verb::kDrain, PoolId::kBlue},
                                                         {Verb::kDrain, PoolId::kGreen},
                                                         {Verb::kUndrain, PoolId::kBlue},
                                                         {Verb::kUndrain, PoolId::kGreen}}));
  EXPECT_EQ(backend_.calls, (std::vector<std::string>{"reload"}));
  EXPECT_EQ(Error(Post("/v1/pool/red/drain"), 404), "there is nothing at /v1/pool/red/drain");
}

TEST_F(AdminApiTest, AChangeAnswersWithTheNewStatus) {
  backend_.report = SteppingReport();
  EXPECT_EQ(Post("/v1/rollout/pause").body, Get("/v1/status").body);
}

TEST_F(AdminApiTest, ChangesGoByPostOnly) {
  for (const char* method : {"GET", "HEAD", "PUT", "DELETE", "PATCH", "post"}) {
    const AdminAnswer answer = api_.Handle({method, "/v1/weight", "", "", 0});
    EXPECT_EQ(Error(answer, 405), "/v1/weight takes POST only");
    EXPECT_EQ(answer.allow, "POST");
  }
  const AdminAnswer answer = Post("/v1/status");
  EXPECT_EQ(Error(answer, 405), "/v1/status takes GET, HEAD only");
  EXPECT_EQ(answer.allow, "GET, HEAD");
  EXPECT_TRUE(backend_.commands.empty());
}

TEST_F(AdminApiTest, RefusesBodiesItDoesNotFullyUnderstand) {
  EXPECT_EQ(Error(Post("/v1/weight", R"({"canary":25)"), 400), "the body is not JSON");
  EXPECT_EQ(Error(Post("/v1/weight", "[25]"), 400), "the body is not a JSON object");
  EXPECT_EQ(Error(Post("/v1/weight", R"({"canary":25,"stable":75})"), 400),
            "unknown key \"stable\"; expected \"canary\"");
  EXPECT_EQ(Error(Post("/v1/weight", R"({"canary":25,"canary":0})"), 400), "\"canary\" is given twice");
  EXPECT_EQ(Error(Post("/v1/rollout/pause", R"({"now":true})"), 400), "unknown key \"now\"; expected none");
  EXPECT_EQ(Error(Post("/v1/rollout/promote", R"({"full":1})"), 400), "\"full\" must be true or false");
  EXPECT_EQ(Error(api_.Handle({"POST", "/v1/weight", "canary=25", R"({"canary":25})", 0}), 400),
            "/v1/weight takes no parameters");
  EXPECT_EQ(Error(Get("/v1/status", "x=1"), 400), "/v1/status takes no parameters");
  EXPECT_EQ(Error(Post("/v1/weight", std::string(10000, '[')), 400), "the body is not JSON");
  EXPECT_TRUE(backend_.commands.empty());
}

TEST_F(AdminApiTest, RefusesWeightsThatAreNone) {
  EXPECT_EQ(Error(Post("/v1/weight"), 400), "\"canary\" is missing; expected a percentage, 0 to 100");
  EXPECT_EQ(Error(Post("/v1/weight", R"({"canary":"25"})"), 400), "\"canary\" must be a number, 0 to 100");
  for (const char* body : {R"({"canary":-1})", R"({"canary":100.01})", R"({"canary":1e300})"}) {
    EXPECT_EQ(Error(Post("/v1/weight", body), 400), "\"canary\" must be a percentage, 0 to 100") << body;
  }
  EXPECT_EQ(Error(Post("/v1/weight", R"({"canary":0.001})"), 400),
            "\"canary\" must be a percentage with at most two decimals");
  for (const char* body :
       {R"({"canary":0})", R"({"canary":100})", R"({"canary":0.01})", R"({"canary":33.33})"}) {
    EXPECT_EQ(Post("/v1/weight", body).status, 200) << body;
  }
  EXPECT_EQ(backend_.commands.back().weight, Weight::BasisPoints(3333));
}

TEST_F(AdminApiTest, RefusesReleaseNamesThatCouldNotBeShown) {
  EXPECT_EQ(Error(Post("/v1/rollout/start"), 400),
            "\"release\" is missing; expected the name of the release, such as \"v42\"");
  EXPECT_EQ(Error(Post("/v1/rollout/start", R"({"release":5})"), 400), "\"release\" must be a string");
  for (const std::string& name : {std::string(), std::string("a\\u001b[31m"), std::string(129, 'x')}) {
    EXPECT_EQ(Error(Post("/v1/rollout/start", "{\"release\":\"" + name + "\"}"), 400),
              "\"release\" must have 1 to 128 bytes and no control characters");
  }
  EXPECT_EQ(Post("/v1/rollout/start", R"({"release":"Größe 2"})").status, 200);
}

TEST_F(AdminApiTest, TellsWhyTheControllerRefused) {
  const std::pair<absl::Status, uint16_t> cases[] = {
      {absl::FailedPreconditionError("no rollout is under way"), 409},
      {absl::InvalidArgumentError("bad"), 400},
      {absl::NotFoundError("gone"), 404},
      {absl::UnavailableError("busy"), 503},
      {absl::InternalError("disk"), 500}};
  for (const auto& [result, status] : cases) {
    backend_.result = result;
    EXPECT_EQ(Error(Post("/v1/rollout/abort"), status), std::string(result.message()));
  }
}

TEST_F(AdminApiTest, OnlyOperatorsChangeThings) {
  api_.SetOperators({33});
  EXPECT_EQ(Error(Post("/v1/rollout/abort", "", 1000), 403),
            "uid 1000 may not change anything; [admin] operators says who may");
  EXPECT_EQ(Post("/v1/rollout/abort", "", -1).status, 403);
  EXPECT_TRUE(backend_.commands.empty());
  EXPECT_EQ(Post("/v1/rollout/abort", "", 33).status, 200);
  EXPECT_EQ(Post("/v1/rollout/abort", "", 0).status, 200);
  EXPECT_EQ(Get("/v1/status").status, 200);
}

TEST_F(AdminApiTest, EveryChangeAndEveryRefusalIsAudited) {
  testing::internal::CaptureStderr();
  Post("/v1/weight", R"({"canary":25})");
  Post("/v1/weight", R"({"canary":125})");
  backend_.result = absl::FailedPreconditionError("no rollout is under way");
  Post("/v1/rollout/abort", "", 0);
  Get("/v1/status");
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_NE(log.find(R"(audit {"uid":1000,"verb":"weight","args":{"canary":25},"result":"ok"})"), log.npos)
      << log;
  EXPECT_NE(log.find(R"("args":{"canary":125},"result":"\"canary\" must be a percentage, 0 to 100"})"),
            log.npos)
      << log;
  EXPECT_NE(log.find(R"(audit {"uid":0,"verb":"abort","args":{},"result":"no rollout is under way"})"),
            log.npos)
      << log;
  EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 3);
}

TEST_F(AdminApiTest, TextThatIsNoUtf8DoesNotBreakTheAnswer) {
  backend_.report.reason = "script \xFF failed";
  EXPECT_TRUE(json::accept(Get("/v1/status").body));
  EXPECT_EQ(Post("/v1/weight", "{\"canary\xFF\":1}").status, 400);
}

TEST_F(AdminApiTest, NothingIsAtOtherPaths) {
  for (const char* path : {"/", "/v1", "/v1/", "/v1/status/", "/v2/status", "/metrics"}) {
    EXPECT_EQ(Get(path).status, 404) << path;
  }
  EXPECT_EQ(Get("/v1/healthz").body, "{\"ok\":true}\n");
  EXPECT_TRUE(Get("/v1/events").subscribe);
  EXPECT_EQ(AdminApi::TooLarge().status, 413);
}

}  // namespace
}  // namespace serin
