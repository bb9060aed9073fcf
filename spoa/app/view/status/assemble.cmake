# Makes the status page of its parts: cmake -D "PARTS=A.css;B.js;..." -D PAGE=FILE -D TO=FILE -P ...
# The styles and the scripts are put into the elements of the page, which are empty for that.
set(style "")
set(script "")
foreach(part IN LISTS PARTS)
  file(READ "${part}" text)
  if(part MATCHES "\\.css$")
    string(APPEND style "${text}")
  else()
    string(APPEND script "${text}")
  endif()
endforeach()
file(READ "${PAGE}" page)
string(REPLACE "<style></style>" "<style>\n${style}</style>" page "${page}")
string(REPLACE "<script></script>" "<script>\n${script}</script>" page "${page}")
string(REGEX REPLACE "\n\t+" "\n" page "${page}") # what indents it is for those who read the parts
file(WRITE "${TO}" "${page}")
