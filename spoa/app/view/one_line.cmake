# Writes the JSON text of FROM into TO without its line breaks and indents. No string of JSON has a
# line break in it.
file(READ ${FROM} text)
string(REGEX REPLACE "\n *" "" text "${text}")
file(WRITE ${TO} "${text}")
