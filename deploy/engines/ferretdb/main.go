// FerretDB with its SQLite backend as one process: a MongoDB-compatible server for machines without Docker.
//
// FerretDB's own command panics when it is installed as a module, because its version file is no part of the module.
package main

import (
	"context"
	"flag"
	"log"
	"os/signal"
	"syscall"

	"github.com/FerretDB/FerretDB/ferretdb"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:27017", "host:port to listen on")
	data := flag.String("data", "data/", "existing folder for the SQLite files, with a slash at its end")
	flag.Parse()

	server, err := ferretdb.New(&ferretdb.Config{
		Listener:  ferretdb.ListenerConfig{TCP: *listen},
		Handler:   "sqlite",
		// The page cache survives a killed server; a machine that loses power is not what this one is for.
		SQLiteURL: "file:" + *data + "?_pragma=synchronous(normal)",
	})
	if err != nil {
		log.Fatal(err)
	}

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()

	if err = server.Run(ctx); err != nil {
		log.Fatal(err)
	}
}
