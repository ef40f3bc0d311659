#pragma once
// A doubly linked list whose links live in its elements: no allocation, O(1)
// removal from anywhere, an element removes itself when it dies. One thread.

namespace serin {

class ListNode {
 public:
  ListNode() = default;
  ListNode(const ListNode&) = delete;
  ListNode& operator=(const ListNode&) = delete;
  ~ListNode() { Unlink(); }

  bool linked() const { return next_ != this; }
  void Unlink() {
    prev_->next_ = next_;
    next_->prev_ = prev_;
    prev_ = next_ = this;
  }

 private:
  template <typename T>
  friend class IntrusiveList;
  void InsertBefore(ListNode& where) {
    Unlink();
    prev_ = where.prev_;
    next_ = &where;
    prev_->next_ = this;
    where.prev_ = this;
  }
  ListNode* prev_ = this;
  ListNode* next_ = this;
};

// T derives from ListNode (possibly through a tag class of its own).
template <typename T>
class IntrusiveList {
 public:
  bool empty() const { return !head_.linked(); }
  void PushBack(T& item) { static_cast<ListNode&>(item).InsertBefore(head_); }
  void PushFront(T& item) { static_cast<ListNode&>(item).InsertBefore(*head_.next_); }
  T& front() { return static_cast<T&>(*head_.next_); }
  const T& front() const { return static_cast<const T&>(*head_.next_); }
  T& PopFront() {
    T& item = front();
    static_cast<ListNode&>(item).Unlink();
    return item;
  }
  // Moves all elements to the end of `other`.
  void MoveTo(IntrusiveList& other) {
    while (!empty()) other.PushBack(PopFront());
  }
  // Calls visit(item) for each; visit may remove the item it is given.
  template <typename Visit>
  void ForEach(Visit&& visit) {
    for (ListNode* n = head_.next_; n != &head_;) {
      ListNode* next = n->next_;
      visit(static_cast<T&>(*n));
      n = next;
    }
  }

 private:
  ListNode head_;
};

}  // namespace serin
