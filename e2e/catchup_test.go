package e2e

import (
	"context"
	"fmt"

	"ackbox/client"
)

// catchUp does what the contract asks of a client that was told `behind`: it pulls until has_more is false. It returns
// the ids held, the pulled ones added.
func catchUp(ctx context.Context, s *client.Session, device string, held []client.MessageID) ([]client.MessageID, error) {
	for {
		pull := client.Pull{DeviceID: device, After: int64(len(held))}
		if len(held) > 0 {
			pull.AfterID = held[len(held)-1]
		}
		page, err := s.Sync(ctx, pull)
		if err != nil {
			return held, fmt.Errorf("catch up after %d: %w", pull.After, err)
		}
		for _, entry := range page.Entries {
			if want := int64(len(held)) + 1; entry.Seq != want {
				return held, fmt.Errorf("catch up after %d: seq %d where %d should be: a hole", pull.After, entry.Seq, want)
			}
			held = append(held, entry.Message.MessageID)
		}
		if !page.HasMore {
			return held, nil
		}
	}
}
