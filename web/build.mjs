// Build the page: `npm ci && npm run build`. The same sources and lock file give the same bytes.
// An output folder may be named as the first argument; the default is the one the package ships.
import { build } from "esbuild";
import { cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const out = process.argv[2] ?? join(here, "..", "src", "siderea", "explorer", "static");
const modules = join(here, "node_modules");

const FONTS = ["latin", "greek"].map((subset) => `inter-${subset}-wght-normal.woff2`);
const LICENSED = [
  ["uPlot 1.6.32", "uplot"],
  ["Inter (variable font, latin and greek)", "@fontsource-variable/inter"],
];
const RULE = "=".repeat(80);

async function licences() {
  const texts = await Promise.all(
    LICENSED.map(async ([name, folder]) => {
      const text = await readFile(join(modules, folder, "LICENSE"), "utf8");
      return `${RULE}\n${name}\n${RULE}\n\n${text.trim()}\n`;
    }),
  );
  const head = "Libraries inside the built page of siderea explore, and their licences.\n";
  await writeFile(join(out, "LICENSES.txt"), [head, ...texts].join("\n"));
}

await rm(out, { recursive: true, force: true });
await mkdir(join(out, "fonts"), { recursive: true });
await build({
  absWorkingDir: here,
  entryPoints: { explorer: "src/main.ts" },
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  charset: "utf8",
  legalComments: "none",
  outdir: out,
});
await build({
  absWorkingDir: here,
  entryPoints: { explorer: "styles/main.css" },
  bundle: true,
  minify: true,
  charset: "utf8",
  external: ["fonts/*"],
  outdir: out,
});
await cp(join(here, "index.html"), join(out, "index.html"));
await cp(join(here, "icon.svg"), join(out, "icon.svg"));
for (const font of FONTS) {
  await cp(
    join(modules, "@fontsource-variable/inter/files", font),
    join(out, "fonts", font),
  );
}
await licences();
