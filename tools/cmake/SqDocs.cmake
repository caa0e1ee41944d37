# Reference pages made from ODS: SqDocs writes them into the build, update-docs
# copies them into the source tree, test/docs compares the two.
set(SQ_DOCS_DIR ${CMAKE_BINARY_DIR}/docs)
file(MAKE_DIRECTORY ${SQ_DOCS_DIR})

function(_sq_doc page td)
  set(depfile ${SQ_DOCS_DIR}/${page}.d)
  add_custom_command(OUTPUT ${SQ_DOCS_DIR}/${page}
    COMMAND ${MLIR_TABLEGEN_EXE} ${ARGN} -I ${CMAKE_SOURCE_DIR} -I ${MLIR_INCLUDE_DIRS}
            ${CMAKE_SOURCE_DIR}/${td} -o ${SQ_DOCS_DIR}/${page} -d ${depfile}
    DEPENDS ${CMAKE_SOURCE_DIR}/${td} DEPFILE ${depfile} VERBATIM)
endfunction()

_sq_doc(Sq.md dialects/sq/IR/SqOps.td -gen-dialect-doc -dialect=sq)
_sq_doc(Passes.md passes/Passes.td -gen-pass-doc)

add_custom_target(SqDocs ALL DEPENDS ${SQ_DOCS_DIR}/Sq.md ${SQ_DOCS_DIR}/Passes.md)
add_custom_target(update-docs
  COMMAND ${CMAKE_COMMAND} -E copy_if_different ${SQ_DOCS_DIR}/Sq.md ${CMAKE_SOURCE_DIR}/dialects/sq/Sq.md
  COMMAND ${CMAKE_COMMAND} -E copy_if_different ${SQ_DOCS_DIR}/Passes.md ${CMAKE_SOURCE_DIR}/passes/Passes.md
  DEPENDS SqDocs)
