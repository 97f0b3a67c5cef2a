# Nothing at all, for measurements of a guest at rest. The line `stop` on the console ends it.
echo "sterna: idle ready"
while read -r word && [ "$word" != stop ]; do :; done </dev/console
echo "sterna: idle ok"
