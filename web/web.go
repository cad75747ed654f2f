// Package web holds what browsers load: built files, embedded. The service works
// without any other host.
package web

import "embed"

// Docs is the page of the API's description: Swagger UI 5.35.0 (swagger-ui-dist,
// Apache-2.0; see LICENSE.swagger-ui), unchanged, and our page around it.
//
//go:embed docs
var Docs embed.FS

// Chat is the chat page as Vite has built it from web/chat: `make web` writes it again.
//
//go:embed all:chat/dist
var Chat embed.FS

// Admin is the operators' page as Vite has built it from web/admin: `make web` writes it again.
//
//go:embed all:admin/dist
var Admin embed.FS
