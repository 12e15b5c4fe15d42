# Links the client's objects and what they need of the project's static libraries into one object whose
# only global symbols are md_client_*: an archive hides nothing, and a program may have an md_fail of its own.
# cmake -DLD= -DOBJCOPY= -DOBJECTS= -DARCHIVES= -DOUTPUT= -P merge_static.cmake
execute_process(COMMAND ${LD} -r -o ${OUTPUT} ${OBJECTS} ${ARCHIVES} COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${OBJCOPY} --localize-hidden ${OUTPUT} COMMAND_ERROR_IS_FATAL ANY)
