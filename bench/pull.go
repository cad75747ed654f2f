package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// pull reads a device's mailbox from a position on, page by page until there is no more, as a client does on a gap or when
// told that it is behind; a page's request acks what was before it. take gets each entry once, in order, and paged the
// number of entries of each page. 429 and 503 are waited out.
func (r *run) pull(ctx context.Context, c *conn, u *User, device string, after int64, take func(seq int64, entry []byte, now time.Duration), paged func(n int)) error {
	for range maxPullPages {
		body := fmt.Appendf(nil, `{"device_id":%q,"after":%d,"limit":%d}`, device, after, pullLimit)
		a, err := c.Do("POST", "/v1/mailbox/sync", u.access, body)
		if err != nil {
			return err
		}
		if a.Status != 200 {
			r.errors.add("sync " + label(a))
			if a.Status != 429 && a.Status != 503 {
				return fmt.Errorf("sync: %s", label(a))
			}
			if err := pauseFor(ctx, max(a.RetryAfter, 100*time.Millisecond)); err != nil {
				return err
			}
			continue
		}
		var page struct {
			Entries []json.RawMessage `json:"entries"`
			HasMore bool              `json:"has_more"`
		}
		if err := json.Unmarshal(a.Body, &page); err != nil {
			return fmt.Errorf("sync: %w", err)
		}
		now := since()
		for _, entry := range page.Entries {
			seq, ok := seqField(entry)
			switch {
			case !ok:
				return fmt.Errorf("sync: entry without seq: %.200s", entry)
			case seq <= after:
				continue
			case seq > after+1:
				r.disorder.Add(1)
			}
			after = seq
			take(seq, entry, now)
		}
		paged(len(page.Entries))
		if !page.HasMore {
			return nil
		}
	}
	return fmt.Errorf("sync: still more after %d pages", maxPullPages)
}
