package verify

import (
	"fmt"
	"time"
)

// Rule names a promise.
type Rule string

// The rules, in the order in which they are checked.
const (
	RuleStored     Rule = "stored"     // every send that was answered is stored, once, as answered, for its whole audience
	RuleOnce       Rule = "once"       // one key is one message
	RuleForged     Rule = "forged"     // nothing is stored, or shown, that nobody sent
	RuleContiguous Rule = "contiguous" // conversation_seq and mailbox seq have no hole and no double
	RuleAgreement  Rule = "agreement"  // everybody is shown the same message at the same place, and all in one order
	RuleOrder      Rule = "order"      // a send that began after another was answered comes after it
	RuleLate       Rule = "late"       // nothing appears below what was read; heads only grow
	RuleView       Rule = "view"       // every device has everything in the end, and was pushed it in order
	RuleReceipts   Rule = "receipts"   // receipts are true and rise
	RuleAcks       Rule = "acks"       // a device's position only rises, and is not called lost for nothing
	RuleAudience   Rule = "audience"   // nobody sees what is not theirs
	RuleRecall     Rule = "recall"     // what was recalled is gone
	RuleDelay      Rule = "delay"      // who is online is shown a message in time
	RuleResources  Rule = "resources"  // the servers give back what they took
)

// Violation is one broken promise.
type Violation struct {
	Rule   Rule    `json:"rule"`
	Detail string  `json:"detail"`
	Events []Event `json:"events,omitempty"` // those that show it
}

func (v Violation) String() string { return fmt.Sprintf("%s: %s", v.Rule, v.Detail) }

// Result is what a check has found.
type Result struct {
	Violations []Violation `json:"violations"`
	// More is how many violations beyond the first maxViolations of a rule were only counted, by rule.
	More  map[Rule]int `json:"more,omitempty"`
	Stats Stats        `json:"stats"`
}

// OK says whether every promise was kept.
func (r Result) OK() bool { return len(r.Violations) == 0 }

// Proves is nil, or why a result without a violation says nothing: there was nothing to break.
func (r Result) Proves() error {
	switch {
	case !r.OK():
		return nil
	case r.Stats.Accepted == 0:
		return fmt.Errorf("no send was accepted (%d refused, %d never answered), so there is no verdict", r.Stats.Refused, r.Stats.Unknown)
	case r.Stats.Pushed == 0:
		return fmt.Errorf("nothing was pushed: all %d deliveries were pulled, so there is no verdict; does what stands before the nodes hold frames back?", r.Stats.Deliveries)
	}
	return nil
}

// Stats count what the history has.
type Stats struct {
	Events     int `json:"events"`
	Sends      int `json:"sends"`    // keys
	Tries      int `json:"tries"`    // calls of them
	Accepted   int `json:"accepted"` // keys answered with a message
	Unknown    int `json:"unknown"`  // keys that never had an answer that says
	Refused    int `json:"refused"`  // keys that were refused
	Lost       int `json:"lost"`     // accepted, and not stored or missing with a device in the end
	Doubled    int `json:"doubled"`  // keys that are several messages
	Deliveries int `json:"deliveries"`
	Pushed     int `json:"pushed"`     // of them, by push and not by pull
	Duplicates int `json:"duplicates"` // pushed or pulled again to a device that had it, and dropped there
	TakenBack  int `json:"taken_back"` // shown before a reset, and not stored: a database that lost its tail
	Undone     int `json:"undone"`     // accepted, then lost with the store's last moments, and not sent again with an answer
	Resets     int `json:"resets"`     // steps back of devices in their mailboxes and large groups
	Recalls    int `json:"recalls"`
	Connects   int `json:"connects"`

	// Delays are from a send's answer to a device's first sight, for devices that were online, by fault ("" is none). Paths
	// are from the send itself to the push, by node pair, without a fault.
	Delays []Delay `json:"delays,omitempty"`
	Paths  []Delay `json:"paths,omitempty"`
}

// Delay are the percentiles of one group of deliveries.
type Delay struct {
	Fault string        `json:"fault,omitempty"`
	From  string        `json:"from,omitempty"` // the node that took the send
	To    string        `json:"to,omitempty"`   // the node of the socket
	Count int64         `json:"count"`
	P50   time.Duration `json:"p50_ns"`
	P90   time.Duration `json:"p90_ns"`
	P99   time.Duration `json:"p99_ns"`
	Max   time.Duration `json:"max_ns"`
}

// Limits are the bounds of the rules that have some; zero values take the defaults.
type Limits struct {
	// Delay is the longest time from a send's answer until a device that is online has it, without a fault (10 s).
	Delay time.Duration `json:"delay"`
	// Reorder is how late a receipt frame may be overtaken by a higher one (5 s): such frames pass between nodes unordered.
	Reorder time.Duration `json:"reorder"`
	// Recall is how long a body may still be on its way to an open socket after its recall was answered (5 s).
	Recall time.Duration `json:"recall"`
}

// Sample is what a node used at a moment; negative figures are unknown.
type Sample struct {
	Goroutines  int64 `json:"goroutines"`
	Files       int64 `json:"files"`
	Connections int64 `json:"connections"` // to the database
	Heap        int64 `json:"heap"`        // bytes in use after a collection
}

// Growth is what a node used at the beginning and at the end, both without load and with the same sockets.
type Growth struct {
	Node  string `json:"node"`
	Begin Sample `json:"begin"`
	End   Sample `json:"end"`
}

// Run is everything that a check looks at.
type Run struct {
	Events    []Event
	Tables    Tables
	Resources []Growth
	Limits    Limits
}
