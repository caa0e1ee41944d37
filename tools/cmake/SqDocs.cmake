# Reference pages made from ODS: SqDocs writes them into the build, update-docs
# copies them into the source tree, test/docs compares the two.
set(SQ_DOCS_DIR ${CMAKE_BINARY_DIR}/docs)
add_custom_target(SqDocs ALL)
add_custom_target(update-docs)
add_dependencies(update-docs SqDocs)

# sq_add_doc(PAGE TD GENERATOR...): PAGE, a path from the root, made from TD.
function(sq_add_doc page td)
  set(out ${SQ_DOCS_DIR}/${page})
  get_filename_component(folder ${out} DIRECTORY)
  file(MAKE_DIRECTORY ${folder})
  add_custom_command(OUTPUT ${out}
    COMMAND ${MLIR_TABLEGEN_EXE} ${ARGN} -I ${CMAKE_SOURCE_DIR} -I ${MLIR_INCLUDE_DIRS}
            ${CMAKE_SOURCE_DIR}/${td} -o ${out} -d ${out}.d
    DEPENDS ${CMAKE_SOURCE_DIR}/${td} DEPFILE ${out}.d VERBATIM)
  string(MAKE_C_IDENTIFIER doc-${page} target)
  add_custom_target(${target} DEPENDS ${out})
  add_dependencies(SqDocs ${target})
  add_custom_command(TARGET update-docs POST_BUILD
    COMMAND ${CMAKE_COMMAND} -E copy_if_different ${out} ${CMAKE_SOURCE_DIR}/${page})
endfunction()

sq_add_doc(dialects/sq/Sq.md dialects/sq/IR/SqOps.td -gen-dialect-doc -dialect=sq)
sq_add_doc(passes/Passes.md passes/Passes.td -gen-pass-doc)
sq_add_doc(codegen/common/Passes.md codegen/common/Passes.td -gen-pass-doc)
sq_add_doc(codegen/cuda/Passes.md codegen/cuda/Passes.td -gen-pass-doc)
sq_add_doc(codegen/host/Passes.md codegen/host/Passes.td -gen-pass-doc)
