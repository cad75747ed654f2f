package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

// Statistics is how much is kept.
type Statistics struct {
	Users            int64              `json:"users" doc:"Accounts; above 100,000 an estimate of MySQL and MariaDB"`
	UsersBanned      int64              `json:"users_banned" doc:"Among the first million accounts"`
	Admins           int64              `json:"admins" doc:"Among the first million accounts"`
	Conversations    ConversationCounts `json:"conversations" doc:"Above 100,000 an estimate from the newest 100,000"`
	Messages         int64              `json:"messages" doc:"Above 100,000 an estimate"`
	MailboxEntries   int64              `json:"mailbox_entries" doc:"Above 100,000 an estimate"`
	Devices          int64              `json:"devices" doc:"Above 100,000 an estimate of MySQL and MariaDB"`
	Files            int64              `json:"files" doc:"Above 100,000 an estimate of MySQL and MariaDB"`
	FileBytes        int64              `json:"file_bytes" doc:"Above 100,000 files an estimate from the newest 100,000"`
	Blocks           int64              `json:"blocks" doc:"Above 100,000 an estimate of MySQL and MariaDB"`
	Registrations24h int64              `json:"registrations_24h" doc:"Above 100,000 an estimate from the newest 100,000"`
	Messages24h      int64              `json:"messages_24h" doc:"Above 100,000 an estimate from the newest 100,000"`
	Database         DatabaseFigures    `json:"database"`
	Redis            RedisFigures       `json:"redis"`
	Estimated        []string           `json:"estimated" doc:"The fields that are estimates now"`
	ReadAt           int64              `json:"read_at" doc:"Unix ms; they are read at most every 30 seconds"`
}

// ConversationCounts is how many conversations there are, each in one of the counts.
type ConversationCounts struct {
	Direct int64 `json:"direct"`
	Group  int64 `json:"group" doc:"Groups that are delivered by mailbox"`
	Log    int64 `json:"log" doc:"Groups that are delivered by log"`
}

// DatabaseFigures is what the database says of itself.
type DatabaseFigures struct {
	Dialect   string `json:"dialect" enum:"mysql,sqlite"`
	Version   string `json:"version"`
	SizeBytes int64  `json:"size_bytes" doc:"Tables and indexes; MySQL and MariaDB estimate it"`
}

// RedisFigures is what Redis says of itself.
type RedisFigures struct {
	State       string `json:"state" enum:"up,down"`
	Version     string `json:"version" doc:"Empty: the one in the process"`
	MemoryBytes int64  `json:"memory_bytes"`
	Clients     int64  `json:"clients"`
}

type statisticsOutput struct{ Body Statistics }

func (a *API) registerStatistics(huma.API) {
	adminRoute(a, huma.Operation{
		OperationID: "admin-statistics", Method: http.MethodGet, Path: "/v1/admin/statistics", Summary: "How much is kept",
	}, read, func(ctx context.Context, _ *none) (*statisticsOutput, error) {
		f, err := a.deps.Statistics.Get(ctx)
		if err != nil {
			return nil, err
		}
		out := Statistics{
			Users: f.Users, UsersBanned: f.Banned, Admins: f.Admins, Conversations: ConversationCounts{f.Direct, f.Groups, f.Logs}, Messages: f.Messages, MailboxEntries: f.MailboxEntries, Devices: f.Devices,
			Files: f.Files, FileBytes: f.FileBytes, Blocks: f.Blocks, Registrations24h: f.Registrations, Messages24h: f.Written,
			Database: DatabaseFigures{string(f.Dialect), f.Version, f.Bytes}, Redis: RedisFigures{"down", f.Redis.Version, f.Redis.Bytes, f.Redis.Clients}, Estimated: f.Estimated, ReadAt: int64(f.At),
		}
		if f.Redis.Up {
			out.Redis.State = "up"
		}
		if out.Estimated == nil {
			out.Estimated = []string{}
		}
		return &statisticsOutput{out}, nil
	})
}
