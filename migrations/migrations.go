// Package migrations embeds the schema: one folder a dialect, one DDL statement a
// file on MySQL (where DDL is not transactional), the same tables in both. A test
// compares them. Statements use only what MySQL 8, MariaDB and TiDB share.
package migrations

import "embed"

// Files holds mysql/*.sql and sqlite/*.sql, in goose's format.
//
//go:embed mysql/*.sql sqlite/*.sql
var Files embed.FS
