package model

import (
	"context"
	"fmt"
)

// Now is what the database's clock says: the one that all nodes share.
func (s *Store) Now(ctx context.Context) (now Millis, err error) {
	if err := s.read(ctx).Raw("SELECT " + s.storeClock()).Row().Scan(&now); err != nil {
		return 0, fmt.Errorf("ask the database for the time: %w", err)
	}
	return now, nil
}
