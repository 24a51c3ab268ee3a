// Runs Azurite's blob service, and ends when standard input does: then the sandbox has ended, whatever ended it.
process.stdin.on("end", () => process.exit(0)).on("error", () => process.exit(0)).resume();
require("azurite/dist/src/blob/main.js");
