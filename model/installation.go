package model

import (
	"context"
	"fmt"
)

// Installation is the random name of this deployment, made at its first start: what it
// keeps in a Redis that others use too carries the name. fresh is used if there is none.
func (s *Store) Installation(ctx context.Context, fresh string) (name string, err error) {
	insert := "INSERT IGNORE INTO"
	if s.dialect == SQLite {
		insert = "INSERT OR IGNORE INTO"
	}
	if err := s.write(ctx).Exec(insert+" installation (id, name) VALUES (1, ?)", fresh).Error; err != nil {
		return "", fmt.Errorf("name the installation: %w", err)
	}
	if err := s.write(ctx).Raw("SELECT name FROM installation WHERE id = 1").Row().Scan(&name); err != nil {
		return "", fmt.Errorf("read the installation's name: %w", err)
	}
	return name, nil
}
