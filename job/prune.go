package job

import (
	"context"
	"log/slog"
	"time"

	"ackbox/model"
)

// DeviceMemory is how long a device that was not seen holds back the pruning of its
// user's mailbox.
const DeviceMemory = 30 * 24 * time.Hour

// pruneUsers is how many mailboxes are looked at in one read.
const pruneUsers = 500

// PruneMailboxes deletes mailbox rows that all devices of the last 30 days have acked.
func PruneMailboxes(store *model.Store, clock func() time.Time, log *slog.Logger) Job {
	return Job{Name: "prune-mailboxes", Every: 10 * time.Minute, Run: func(ctx context.Context) error {
		since := model.MillisOf(clock().Add(-DeviceMemory))
		var total int64
		for after := model.UserID(0); ; {
			last, pruned, err := store.PruneMailboxes(ctx, after, since, pruneUsers)
			total += pruned
			if err != nil {
				return err
			}
			if last == 0 {
				break
			}
			after = last
		}
		if total > 0 {
			log.Info("pruned mailbox rows", "rows", total)
		}
		return nil
	}}
}
