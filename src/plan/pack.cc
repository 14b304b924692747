#include "plan/pack.h"

#include <algorithm>
#include <map>

#include "base/result.h"

namespace spillway::plan {
namespace {

constexpr std::size_t kBestPerRun = 4;  // choices of a pure run that mixed runs look at, too

struct Best {
  std::int64_t cost = kDoesNotFit;
  int choice = -1;
};

// The best choice per account for one run of items.
struct Row {
  std::vector<Best> by_account;
};

// Every run that fits somewhere, priced once.
class Table {
 public:
  explicit Table(const PackProblem& problem) : problem_(problem) {
    items_ = static_cast<int>(problem.kinds.size());
    longest_ = std::max(1, std::min(items_, problem.max_items_per_instance));
    rows_of_.assign(static_cast<std::size_t>(items_) * static_cast<std::size_t>(longest_), -1);
    for (int c = 0; c < static_cast<int>(problem.accounts.size()); ++c) all_.push_back(c);
    FillPure();
    FillMixed();
  }

  int items() const { return items_; }
  int longest() const { return longest_; }
  const std::vector<Row>& rows() const { return rows_; }
  // Index of the row of a run; -1: it fits nowhere.
  int RowAt(int first, int count) const { return rows_of_[Slot(first, count)]; }

 private:
  std::size_t Slot(int first, int count) const {
    return static_cast<std::size_t>(first) * static_cast<std::size_t>(longest_) +
           static_cast<std::size_t>(count - 1);
  }

  int AddRow(int first, int count, const std::vector<int>& choices, bool shortlist) {
    costs_.assign(choices.size(), kDoesNotFit);
    problem_.cost(first, count, choices, costs_);
    Row row;
    bool fits = false;
    row.by_account.resize(problem_.account_limits.size());
    for (std::size_t i = 0; i < choices.size(); ++i) {
      if (costs_[i] == kDoesNotFit) continue;
      const auto account =
          static_cast<std::size_t>(problem_.accounts[static_cast<std::size_t>(choices[i])]);
      Best& best = row.by_account[account];
      if (costs_[i] < best.cost) best = {costs_[i], choices[i]};
      fits = true;
    }
    if (!fits) return -1;
    if (shortlist) Shortlist(choices);
    rows_.push_back(std::move(row));
    return static_cast<int>(rows_.size()) - 1;
  }

  void Shortlist(const std::vector<int>& choices) {
    std::vector<std::pair<std::int64_t, int>> order;
    for (std::size_t i = 0; i < choices.size(); ++i)
      if (costs_[i] != kDoesNotFit) order.emplace_back(costs_[i], choices[i]);
    const std::size_t keep = std::min(order.size(), kBestPerRun);
    std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(keep),
                      order.end());
    for (std::size_t i = 0; i < keep; ++i) shortlist_.push_back(order[i].second);
  }

  // Runs of one kind: the same wherever they start.
  void FillPure() {
    std::map<std::pair<int, int>, int> known;  // (kind, count) -> row
    for (int first = 0; first < items_; ++first) {
      const int kind = problem_.kinds[static_cast<std::size_t>(first)];
      for (int count = 1; count <= longest_ && first + count <= items_ &&
                          problem_.kinds[static_cast<std::size_t>(first + count - 1)] == kind;
           ++count) {
        const auto [it, fresh] = known.try_emplace({kind, count}, -1);
        if (fresh) it->second = AddRow(first, count, all_, true);
        rows_of_[Slot(first, count)] = it->second;
        if (it->second < 0) break;
      }
    }
  }

  void FillMixed() {
    std::sort(shortlist_.begin(), shortlist_.end());
    shortlist_.erase(std::unique(shortlist_.begin(), shortlist_.end()), shortlist_.end());
    const std::vector<int>& choices =
        static_cast<int>(all_.size()) <= kAllChoices ? all_ : shortlist_;
    for (int first = 0; first < items_; ++first) {
      const int kind = problem_.kinds[static_cast<std::size_t>(first)];
      for (int count = 1; count <= longest_ && first + count <= items_; ++count) {
        if (problem_.kinds[static_cast<std::size_t>(first + count - 1)] != kind)
          rows_of_[Slot(first, count)] = AddRow(first, count, choices, false);
        if (rows_of_[Slot(first, count)] < 0) break;
      }
    }
  }

  const PackProblem& problem_;
  int items_ = 0, longest_ = 1;
  std::vector<int> rows_of_;
  std::vector<Row> rows_;
  std::vector<int> all_, shortlist_;
  std::vector<std::int64_t> costs_;
};

// A limit that the search has to count: instances of one account, or (account -1) of all.
struct Limit {
  int account = -1;
  int most = 0;
};

struct Cell {
  std::int64_t cost = kDoesNotFit;
  int instances = 0;
  Packed last;
  std::int64_t from = -1;  // cell before `last`
};

// Shortest path over (items placed, instances used per limit). Exact.
class Search {
 public:
  Search(const PackProblem& problem, const Table& table, const std::vector<Limit>& limits)
      : table_(table), limits_(limits) {
    for (const Limit& limit : limits_) {
      radix_.push_back(states_);
      states_ *= limit.most + 1;
    }
    counted_.assign(problem.account_limits.size(), -1);
    for (std::size_t i = 0; i < limits_.size(); ++i) {
      if (limits_[i].account < 0)
        total_ = static_cast<int>(i);
      else
        counted_[static_cast<std::size_t>(limits_[i].account)] = static_cast<int>(i);
    }
  }

  std::optional<Packing> Run() {
    const int items = table_.items();
    for (const Row& row : table_.rows()) options_.push_back(OptionsOf(row));
    cells_.assign(static_cast<std::size_t>((items + 1) * states_), Cell{});
    cells_[0].cost = 0;
    for (int placed = 0; placed < items; ++placed)
      for (std::int64_t state = 0; state < states_; ++state)
        if (cells_[static_cast<std::size_t>(placed * states_ + state)].cost != kDoesNotFit)
          Extend(placed, state);
    const Cell* end = nullptr;
    for (std::int64_t state = 0; state < states_; ++state) {
      const Cell& cell = cells_[static_cast<std::size_t>(items * states_ + state)];
      if (cell.cost != kDoesNotFit && (end == nullptr || Less(cell, *end))) end = &cell;
    }
    if (end == nullptr) return std::nullopt;
    Packing packing{end->cost, {}};
    for (const Cell* cell = end; cell->from >= 0;
         cell = &cells_[static_cast<std::size_t>(cell->from)])
      packing.instances.push_back(cell->last);
    std::reverse(packing.instances.begin(), packing.instances.end());
    return packing;
  }

 private:
  static bool Less(const Cell& a, const Cell& b) {
    if (a.cost != b.cost) return a.cost < b.cost;
    if (a.instances != b.instances) return a.instances < b.instances;
    return a.last.choice < b.last.choice;
  }

  // What can be put next to a run: the best choice that no limit counts, and of each counted
  // account the best one if it is cheaper than that.
  struct Option {
    Best best;
    int limit = -1;
  };

  std::vector<Option> OptionsOf(const Row& row) const {
    Best uncounted;
    for (std::size_t account = 0; account < row.by_account.size(); ++account)
      if (const Best& best = row.by_account[account]; best.choice >= 0 && counted_[account] < 0)
        uncounted = std::min(uncounted, best, CheaperChoice);
    std::vector<Option> options;
    if (uncounted.choice >= 0) options.push_back({uncounted, -1});
    for (std::size_t account = 0; account < row.by_account.size(); ++account) {
      const Best& best = row.by_account[account];
      if (best.choice >= 0 && counted_[account] >= 0 && CheaperChoice(best, uncounted))
        options.push_back({best, counted_[account]});
    }
    return options;
  }

  static bool CheaperChoice(const Best& a, const Best& b) {
    return a.cost != b.cost ? a.cost < b.cost : a.choice < b.choice;
  }

  void Extend(int placed, std::int64_t state) {
    for (int count = 1; count <= table_.longest() && placed + count <= table_.items(); ++count) {
      const int row = table_.RowAt(placed, count);
      if (row < 0) break;
      for (const Option& option : options_[static_cast<std::size_t>(row)])
        Relax(placed, state, count, option.best, option.limit);
    }
  }

  void Relax(int placed, std::int64_t state, int count, const Best& best, int limit) {
    std::int64_t next = state;
    for (const int used : {limit, total_}) {
      if (used < 0) continue;
      const auto index = static_cast<std::size_t>(used);
      if (state / radix_[index] % (limits_[index].most + 1) == limits_[index].most) return;
      next += radix_[index];
    }
    const std::int64_t from = placed * states_ + state;
    const Cell& before = cells_[static_cast<std::size_t>(from)];
    const Cell candidate{before.cost + best.cost, before.instances + 1,
                         Packed{best.choice, placed, count}, from};
    Cell& cell = cells_[static_cast<std::size_t>((placed + count) * states_ + next)];
    if (cell.cost == kDoesNotFit || Less(candidate, cell)) cell = candidate;
  }

  const Table& table_;
  const std::vector<Limit>& limits_;
  std::vector<std::int64_t> radix_;
  std::vector<int> counted_;  // by account: index into limits_, -1
  int total_ = -1;
  std::int64_t states_ = 1;
  std::vector<std::vector<Option>> options_;  // by row
  std::vector<Cell> cells_;
};

// The limits that the packing breaks and that were not counted yet.
std::vector<Limit> Broken(const PackProblem& problem, const Packing& packing) {
  std::vector<Limit> broken;
  if (static_cast<int>(packing.instances.size()) > problem.max_instances)
    broken.push_back({-1, problem.max_instances});
  std::vector<int> used(problem.account_limits.size(), 0);
  for (const Packed& instance : packing.instances)
    ++used[static_cast<std::size_t>(problem.accounts[static_cast<std::size_t>(instance.choice)])];
  for (std::size_t account = 0; account < used.size(); ++account)
    if (used[account] > problem.account_limits[account])
      broken.push_back({static_cast<int>(account), problem.account_limits[account]});
  return broken;
}

// The lowest cost per item first, within all limits.
std::optional<Packing> Greedy(const PackProblem& problem, const Table& table) {
  std::vector<int> left = problem.account_limits;
  Packing packing;
  for (int first = 0; first < table.items();) {
    if (static_cast<int>(packing.instances.size()) == problem.max_instances) return std::nullopt;
    Packed chosen;
    std::int64_t chosen_cost = kDoesNotFit;
    for (int count = 1; count <= table.longest() && first + count <= table.items(); ++count) {
      const int row = table.RowAt(first, count);
      if (row < 0) break;
      for (std::size_t account = 0; account < left.size(); ++account) {
        const Best& best = table.rows()[static_cast<std::size_t>(row)].by_account[account];
        if (best.choice < 0 || left[account] == 0) continue;
        if (chosen_cost == kDoesNotFit || static_cast<__int128>(best.cost) * chosen.count <=
                                              static_cast<__int128>(chosen_cost) * count) {
          chosen = {best.choice, first, count};
          chosen_cost = best.cost;
        }
      }
    }
    if (chosen_cost == kDoesNotFit) return std::nullopt;
    --left[static_cast<std::size_t>(problem.accounts[static_cast<std::size_t>(chosen.choice)])];
    packing.cost += chosen_cost;
    packing.instances.push_back(chosen);
    first += chosen.count;
  }
  return packing;
}

}  // namespace

std::optional<Packing> Pack(const PackProblem& problem) {
  if (problem.kinds.empty()) return Packing{};
  const Table table(problem);
  // A limit is counted only once a solution breaks it: a solution that breaks none is the best
  // one. Every pass counts at least one limit more.
  std::vector<Limit> limits;
  for (;;) {
    std::int64_t states = table.items() + 1;
    for (const Limit& limit : limits) states = std::min(kMaxStates + 1, states * (limit.most + 1));
    if (states > kMaxStates) return Greedy(problem, table);
    std::optional<Packing> packing = Search(problem, table, limits).Run();
    if (!packing) return std::nullopt;
    const std::vector<Limit> broken = Broken(problem, *packing);
    if (broken.empty()) return packing;
    limits.insert(limits.end(), broken.begin(), broken.end());
  }
}

}  // namespace spillway::plan
