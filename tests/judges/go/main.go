// Checks an exported audit log with Go's own packages, sharing nothing with Assay: main FOLDER VERIFIER-KEY (Ed25519).
// Opens the checkpoint with the key, then every entry against the level 0 tiles and those against the checkpoint's root.
package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Go spells `tile/8/L/N`, C2SP `tile/L/N`, and bundles `tile/entries/N`.
func read(folder, path string) []byte {
	path = strings.Replace(strings.Replace(path, "tile/8/", "tile/", 1), "tile/data/", "tile/entries/", 1)
	bytes, err := os.ReadFile(filepath.Join(folder, path))
	must(err)
	return bytes
}

func must(err error) {
	if err != nil {
		fmt.Println("BROKEN:", err)
		os.Exit(1)
	}
}

type tiles string

func (tiles) Height() int                     { return 8 }
func (tiles) SaveTiles([]tlog.Tile, [][]byte) {}
func (folder tiles) ReadTiles(all []tlog.Tile) (data [][]byte, err error) {
	for _, tile := range all {
		data = append(data, read(string(folder), tile.Path()))
	}
	return data, nil
}

func main() {
	folder := os.Args[1]
	key, err := note.NewVerifier(os.Args[2])
	must(err)
	signed, err := note.Open(read(folder, "checkpoint"), note.VerifierList(key))
	must(err)
	text := strings.Split(signed.Text, "\n")
	if text[0] != key.Name() {
		must(fmt.Errorf("the checkpoint is of %s, the key of %s", text[0], key.Name()))
	}
	// Go's parser wants its own first line; size and root are written alike.
	tree, err := tlog.ParseTree([]byte("go.sum database tree\n" + text[1] + "\n" + text[2] + "\n"))
	must(err)
	reader := tlog.TileHashReader(tree, tiles(folder))
	for first := int64(0); first < tree.N; first += 256 {
		width := min(256, tree.N-first)
		bundle := read(folder, tlog.Tile{H: 8, L: -1, N: first / 256, W: int(width)}.Path())
		indexes := make([]int64, width)
		for i := range indexes {
			indexes[i] = tlog.StoredHashIndex(0, first+int64(i))
		}
		hashes, err := reader.ReadHashes(indexes)
		must(err)
		for i := range hashes {
			if len(bundle) < 2 || len(bundle) < 2+int(binary.BigEndian.Uint16(bundle)) {
				must(fmt.Errorf("entry %d is cut off", first+int64(i)))
			}
			end := 2 + int(binary.BigEndian.Uint16(bundle))
			if tlog.RecordHash(bundle[2:end]) != hashes[i] {
				must(fmt.Errorf("entry %d is not the one in the tree", first+int64(i)))
			}
			bundle = bundle[end:]
		}
		if len(bundle) > 0 {
			must(fmt.Errorf("something follows entry %d", first+width-1))
		}
	}
	fmt.Printf("HOLDS: %d entries of %s\n", tree.N, key.Name())
}
