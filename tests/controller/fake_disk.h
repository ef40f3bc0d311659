#pragma once
// A state directory in memory that can fail, fill up, lose power or be looked
// at after any call. For the tests of this folder.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "controller/journal.h"

namespace serin {

// Shared by the disk objects of several "processes".
struct FakeDiskContent {
  struct Write {
    uint64_t offset = 0;
    std::string bytes;
  };
  struct File {
    std::string durable;
    std::vector<Write> unsynced;  // in the page cache

    std::string Now() const { return With(unsynced.size()); }
    std::string With(size_t writes) const {
      std::string bytes = durable;
      for (size_t i = 0; i < writes; ++i) Put(bytes, unsynced[i]);
      return bytes;
    }
    static void Put(std::string& bytes, const Write& write) {
      if (bytes.size() < write.offset + write.bytes.size())
        bytes.resize(write.offset + write.bytes.size(), '\0');
      bytes.replace(write.offset, write.bytes.size(), write.bytes);
    }
  };
  std::map<std::string, std::shared_ptr<File>> files;

  // What a power cut leaves: any of the unsynced writes, and one of them torn.
  FakeDiskContent AfterPowerCut(std::mt19937_64& random) const {
    FakeDiskContent left;
    for (const auto& [name, file] : files) {
      auto copy = std::make_shared<File>();
      copy->durable = file->durable;
      for (Write write : file->unsynced) {
        const uint64_t fate = random() % 4;
        if (fate == 0) continue;
        if (fate == 1) write.bytes.resize(random() % (write.bytes.size() + 1));
        File::Put(copy->durable, write);
      }
      left.files[name] = std::move(copy);
    }
    return left;
  }
  // What a kill -9 leaves: everything that the kernel has been given.
  FakeDiskContent AfterKill() const {
    FakeDiskContent left;
    for (const auto& [name, file] : files) {
      auto copy = std::make_shared<File>();
      copy->durable = file->Now();
      left.files[name] = std::move(copy);
    }
    return left;
  }
};

class FakeDisk : public Disk {
 public:
  // Called before each operation; an error is what it returns.
  using Hook = std::function<absl::Status(const std::string& operation, const std::string& name)>;
  explicit FakeDisk(FakeDiskContent& content, Hook hook = {}) : content_(content), hook_(std::move(hook)) {}

  absl::Status Lock() override { return Call("lock", ""); }
  absl::StatusOr<std::string> Read(const std::string& name, size_t limit) override {
    if (absl::Status status = Call("read", name); !status.ok()) return status;
    const auto found = content_.files.find(name);
    if (found == content_.files.end()) return absl::NotFoundError(name);
    return found->second->Now().substr(0, limit);
  }
  absl::StatusOr<uint64_t> Size(const std::string& name) override {
    const auto found = content_.files.find(name);
    if (found == content_.files.end()) return absl::NotFoundError(name);
    return found->second->Now().size();
  }
  absl::StatusOr<std::unique_ptr<DiskFile>> Open(const std::string& name) override {
    if (absl::Status status = Call("open", name); !status.ok()) return status;
    if (!content_.files.contains(name)) return absl::NotFoundError(name);
    return std::make_unique<File>(*this, name, content_.files[name]);
  }
  absl::StatusOr<std::unique_ptr<DiskFile>> Create(const std::string& name) override {
    if (absl::Status status = Call("create", name); !status.ok()) return status;
    content_.files[name] = std::make_shared<FakeDiskContent::File>();
    return std::make_unique<File>(*this, name, content_.files[name]);
  }
  absl::Status Rename(const std::string& from, const std::string& to) override {
    if (absl::Status status = Call("rename", from); !status.ok()) return status;
    if (!content_.files.contains(from)) return absl::NotFoundError(from);
    content_.files[to] = content_.files[from];
    content_.files.erase(from);
    return absl::OkStatus();
  }
  void Keep(const std::string& name, const std::string& second) override {
    if (Call("keep", name).ok() && content_.files.contains(name))
      content_.files[second] = content_.files[name];
  }
  absl::Status Remove(const std::string& name) override {
    content_.files.erase(name);
    return absl::OkStatus();
  }
  absl::Status SyncDirectory() override { return Call("sync directory", ""); }
  std::vector<std::string> List() override {
    std::vector<std::string> names;
    for (const auto& [name, file] : content_.files) names.push_back(name);
    return names;
  }

 private:
  class File : public DiskFile {
   public:
    File(FakeDisk& disk, std::string name, std::shared_ptr<FakeDiskContent::File> file)
        : disk_(disk), name_(std::move(name)), file_(std::move(file)) {}
    absl::Status WriteAt(uint64_t offset, std::string_view bytes) override {
      if (absl::Status status = disk_.Call("write", name_); !status.ok()) return status;
      file_->unsynced.push_back({offset, std::string(bytes)});
      return absl::OkStatus();
    }
    absl::Status Sync() override {
      if (absl::Status status = disk_.Call("sync", name_); !status.ok()) return status;
      file_->durable = file_->Now();
      file_->unsynced.clear();
      return absl::OkStatus();
    }

   private:
    FakeDisk& disk_;
    std::string name_;
    std::shared_ptr<FakeDiskContent::File> file_;
  };

  absl::Status Call(const std::string& operation, const std::string& name) {
    return hook_ ? hook_(operation, name) : absl::OkStatus();
  }

  FakeDiskContent& content_;
  Hook hook_;
};

}  // namespace serin
